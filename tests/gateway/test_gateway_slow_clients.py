"""C011, C013: callers that send or read too slowly, all at once, are closed by their limits, and others notice nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from bench.slow_clients import SlowClients, canary, p99_ms

pytestmark = pytest.mark.e2e
LABELS = tuple(f"a label whose name is rather long, number {n}" for n in range(600))  # an answer of 32 texts is over 1 MB
PATH = "/models/sentiment"


@pytest.fixture
def stack(make_stack, tmp_path: Path) -> Iterator[object]:
    limits = {"header_timeout_s": 2.0, "body_timeout_s": 2.0, "write_timeout_s": 2.0}
    found = make_stack(tmp_path / "home", **limits, max_queue_tokens=10**6, request_timeout_s=60.0)
    try:
        found.add_model("m:1", labels=LABELS)
        found.wait_state(found.deploy("m:1"), "ready")
        assert len(found.post(["good"] * 32).content) > 1_000_000
        yield found
    finally:
        found.close()


def run(stack, count: int, calls: int) -> tuple[list[float], list[float]]:
    """Latencies of a caller without and with `count` slow ones; every one of those must be closed in time, and leave nothing behind."""
    asks = canary(stack.port, PATH, "hl_app")
    quiet = [next(asks) for _ in range(calls)]
    gateway = psutil.Process(stack.gateway.pid)
    descriptors = gateway.num_fds()
    slow = SlowClients(stack.port, count, path=PATH, key="hl_app", large=["good"] * 32, header_timeout_s=2.0)
    try:
        beside = [next(asks) for _ in range(calls)]
        for _ in range(20_000):
            if not any(slow.still_open().values()):
                break
            beside.append(next(asks))
        assert slow.still_open() == {"slowloris": 0, "stalled body": 0, "dead reader": 0}
    finally:
        slow.close()
    for _ in range(200):
        if gateway.num_fds() <= descriptors:
            break
        stack.pause()
    assert gateway.num_fds() <= descriptors
    assert stack.worker_values()["hanlin_worker_inflight_calls"] == 0
    assert stack.gateway_log.read_text() == ""
    asks.close()
    return quiet, beside


def test_slow_callers_are_closed_and_others_are_answered(stack) -> None:
    run(stack, 60, 100)


@pytest.mark.soak
def test_five_hundred_slow_callers_leave_the_others_their_latency(stack) -> None:
    """The best of three: a machine has other things to do, too."""
    ratios = []
    for _ in range(3):
        quiet, beside = run(stack, 500, 1000)
        ratios.append(p99_ms(beside) / p99_ms(quiet))
    assert min(ratios) < 2, ratios
