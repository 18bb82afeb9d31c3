"""How a call is retried, a deployment waited for. Free of input and output: see `steps.py`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from hanlin.client import calls, inference_calls, replies
from hanlin.client.steps import Broken, Call, Flow, Reply, Send, Sleep, send
from hanlin.client.values import Deployment
from hanlin.errors import DeadlineExceeded, EngineFailed, HanlinError, NotFound

T = TypeVar("T")
STREAM_IDLE_S = 45.0  # servers send a heartbeat more often than this
FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 8.0


@dataclass(frozen=True, slots=True)
class Policy:
    """How long and how often to try.

    Args:
        timeout_s: total time of one call, retries included.
        max_retries: further attempts after the first.
        patience_s: how long following a job outlives an unreachable server.
        jitter: a number in [0, 1); spreads the retries of many clients.
        clock: monotonic seconds.
    """

    url: str
    timeout_s: float = 30.0
    max_retries: int = 4
    patience_s: float = 120.0
    headers: Mapping[str, str] = field(default_factory=dict)
    jitter: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic

    def pause_s(self, attempt: int, error: HanlinError) -> float:
        """Seconds before attempt `attempt + 1` (from 0): anything up to 0.2 s, doubled each time, and Retry-After besides.

        Source: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015 ("full jitter").
        """
        return min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0**attempt) * self.jitter() + (error.retry_after_s or 0.0)


def step_of(call: Call[T], policy: Policy, timeout_s: float, *, idle_s: float | None = None) -> Send:
    """The sending of a call; `idle_s` opens a stream."""
    headers = {**policy.headers, **call.headers}
    if call.has_deadline_header:
        headers["x-timeout-s"] = f"{timeout_s:.3f}"
    return Send(call.method, call.path, call.query, headers, call.content, timeout_s, idle_s)


def _can_retry(call: Call[T], outcome: Reply | Broken, error: HanlinError) -> bool:
    if isinstance(outcome, Broken):
        return outcome.kind == "connect" or (outcome.kind == "cut" and call.is_idempotent)
    # What is ours was not begun. A proxy's 503 may mean that the server went away in the middle.
    is_refusal = outcome.status in (429, 503) and error.code != "unexpected_answer"
    return error.is_retryable and (is_refusal or call.is_idempotent)


def exchange(call: Call[T], policy: Policy) -> Flow[T]:
    """One call until it is answered, refused, or out of attempts or time. Returns what the call parses.

    Raises:
        HanlinError: as the server said; `server_unreachable`, `connection_cut`, `answer_too_late` or `unexpected_answer`.
    """
    deadline_s = policy.clock() + policy.timeout_s
    attempt = 0
    while True:
        outcome = yield from send(step_of(call, policy, max(0.001, deadline_s - policy.clock())))
        if isinstance(outcome, Reply) and (outcome.status < 400 or outcome.status in call.accept):
            return call.parse(outcome)
        error = replies.error_of(outcome, url=policy.url)
        pause_s = policy.pause_s(attempt, error)
        is_last = attempt >= policy.max_retries or policy.clock() + pause_s >= deadline_s
        if is_last or not _can_retry(call, outcome, error):
            raise error
        yield Sleep(pause_s)
        attempt += 1


def settle(deployment: Deployment, policy: Policy, *, timeout_s: float) -> Flow[Deployment]:
    """Poll until a deployment serves or has failed.

    Raises:
        EngineFailed: `deployment_failed` with the reason.
        DeadlineExceeded: `wait_too_long`.
    """
    deadline_s, warnings = policy.clock() + timeout_s, deployment.warnings
    while deployment.state not in ("ready", "asleep", "failed", "stopped"):
        if policy.clock() >= deadline_s:
            raise DeadlineExceeded("wait_too_long", seconds=timeout_s)
        yield Sleep(0.2)
        found = yield from exchange(calls.list_deployments(), policy)
        deployment = next((item for item in found if item.id == deployment.id), deployment)
    if deployment.state not in ("ready", "asleep"):
        raise EngineFailed("deployment_failed", endpoint=deployment.endpoint, state=deployment.state, reason=deployment.reason or "?")
    return deployment.model_copy(update={"warnings": warnings})


def vanish(endpoint: str, policy: Policy, *, timeout_s: float) -> Flow[None]:
    """Ask until an endpoint that was taken away answers no more.

    Raises:
        DeadlineExceeded: `undeploy_slow`; it still will go.
    """
    deadline_s = policy.clock() + timeout_s
    while True:
        try:
            yield from exchange(inference_calls.describe(endpoint), policy)
        except NotFound:
            return
        if policy.clock() >= deadline_s:
            raise DeadlineExceeded("undeploy_slow", endpoint=endpoint, seconds=timeout_s)
        yield Sleep(0.1)
