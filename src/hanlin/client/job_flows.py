"""How a job is followed and waited for, across broken connections. Free of input and output: see `steps.py`."""

from __future__ import annotations

import json

from pydantic import ValidationError

from hanlin.client import calls
from hanlin.client.flows import Policy, exchange
from hanlin.client.sse import Message
from hanlin.client.steps import Flow, Sleep
from hanlin.client.streaming import stream_once
from hanlin.client.values import Job, JobEvent
from hanlin.errors import DeadlineExceeded, EngineFailed, HanlinError, Internal, NotReady, from_wire


def follow(job_id: str, policy: Policy, *, after: int = 0, timeout_s: float | None = None) -> Flow[Job]:
    """Emit a job's events until it ends, reconnecting where the stream broke. Returns the ended job.

    Raises:
        DeadlineExceeded: `wait_too_long` after `timeout_s`; the job goes on.
        HanlinError: the server is away for longer than `policy.patience_s`, or refuses.
    """
    deadline_s = policy.clock() + timeout_s if timeout_s is not None else float("inf")
    attempt, last_seen_s = 0, policy.clock()
    while True:
        newest = yield from _read_events(job_id, after, policy, deadline_s)
        if newest > after:
            after, attempt, last_seen_s = newest, 0, policy.clock()
        try:
            job = yield from exchange(calls.get_job(job_id), policy)
        except (NotReady, DeadlineExceeded):  # away, or too busy to answer in time: the job goes on all the same
            if policy.clock() - last_seen_s > policy.patience_s:
                raise
        else:
            last_seen_s = policy.clock()
            if job.has_ended:
                return job
        if policy.clock() >= deadline_s:
            raise DeadlineExceeded("wait_too_long", seconds=timeout_s)
        yield Sleep(policy.pause_s(attempt, Internal("internal")))
        attempt = min(attempt + 1, 5)


def _read_events(job_id: str, after: int, policy: Policy, deadline_s: float) -> Flow[int]:
    """Emit the events of one connection; returns the number of the newest one. A broken stream simply ends."""
    newest = after

    def unseen(message: Message) -> JobEvent | None:
        nonlocal newest
        event = _event_of(message)
        if event.seq <= newest:  # a reconnected stream may repeat what we have
            return None
        newest = event.seq
        return event

    yield from stream_once(calls.job_events(job_id, after), policy, deadline_s=deadline_s, on_message=unseen)
    return newest


def _event_of(message: Message) -> JobEvent:
    try:
        data = json.loads(message.data)
        return JobEvent.model_validate({**data, "seq": int(message.id), "kind": message.event})
    except (ValueError, TypeError, ValidationError) as error:
        raise Internal("unexpected_answer", status=200) from error


def wait(job_id: str, policy: Policy, *, timeout_s: float | None = None) -> Flow[Job]:
    """Follow a job to a good end.

    Raises:
        HanlinError: the job's own error when it failed or was cancelled (`job_ended_badly` when it names none).
    """
    job = yield from follow(job_id, policy, timeout_s=timeout_s)
    if job.state != "succeeded":
        raise job_error(job)
    return job


def job_error(job: Job) -> HanlinError:
    """The error that ended a job, rebuilt."""
    wire = {name: value for name, value in (job.error or {}).items() if value is None or isinstance(value, str | int | float | bool)}
    if wire.get("code") and wire.get("message"):
        return from_wire(wire)
    return EngineFailed("job_ended_badly", job=job.id, state=job.state)
