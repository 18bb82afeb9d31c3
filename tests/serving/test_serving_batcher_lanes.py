"""Interactive calls and batch work in one queue, with integers and a clock that tests turn."""

from __future__ import annotations

import pytest

from hanlin.errors import Overloaded
from hanlin.serving.batcher import MAX_LANE_WAIT_S, SHARED_S, Batcher
from hanlin.serving.gaps import GAP_STEP_S


def make(**options: int | None) -> Batcher:
    return Batcher(**{"max_batch_tokens": 256, "max_queue_tokens": 4096, **options})  # type: ignore[arg-type]


def calls_of(batcher: Batcher, now_s: float = 0.0) -> list[int]:
    batch = batcher.next_batch(now_s)
    return [] if batch is None else [item.call for item in batch.items]


def test_interactive_goes_first_but_batch_lane_does_not_starve() -> None:
    batcher = make(max_batch_tokens=10)
    batcher.add(1, [10], now_s=0.0, deadline_s=99.0, lane="batch")
    batcher.add(2, [10], now_s=0.0, deadline_s=99.0)
    batcher.add(3, [10], now_s=0.0, deadline_s=99.0)
    assert calls_of(batcher, 0.1) == [2]
    assert calls_of(batcher, MAX_LANE_WAIT_S + 1) == [1]
    assert calls_of(batcher, MAX_LANE_WAIT_S + 1) == [3]


def test_the_batch_lane_fills_a_part_of_the_queue_only() -> None:
    """What has no hurry must not keep others out: an interactive call still finds most of the queue."""
    batcher = Batcher(max_batch_tokens=100, max_queue_tokens=1000)
    for call in range(25):
        batcher.add(call, [10], now_s=0.0, deadline_s=99.0, key="job", lane="batch")
    with pytest.raises(Overloaded):
        batcher.add(25, [10], now_s=0.0, deadline_s=99.0, key="job", lane="batch")
    for call in range(26, 26 + 60):
        batcher.add(call, [10], now_s=0.0, deadline_s=99.0, key="person")


def with_a_job(batcher: Batcher) -> Batcher:
    """A batch job's texts wait in front of an engine that does 100,000 tokens a second."""
    for step in (100, 1000, 100, 1000, 100, 1000):
        batcher.observe(step, step / 100_000)
    for call in range(150):
        batcher.add(call, [10] * 10, now_s=0.0, deadline_s=99.0, key="job", lane="batch")
    return batcher


def test_the_batch_lane_takes_whole_steps_while_nobody_else_calls() -> None:
    batcher = with_a_job(make(max_batch_tokens=4096, max_queue_tokens=65_536))
    batch = batcher.next_batch(0.0)
    assert batch is not None
    assert batch.padded_tokens > 4000
    assert batcher.is_deep


def test_the_batch_lane_takes_short_steps_while_others_call() -> None:
    """What comes while one runs waits for its end; and it does not make the step long that an interactive call is in."""
    batcher = with_a_job(make(max_batch_tokens=4096, max_queue_tokens=65_536))
    batcher.add(1000, [10], now_s=1.0, deadline_s=99.0, key="person")
    for _ in range(2):  # the person's own, then one of the job alone
        batch = batcher.next_batch(1.0)
        assert batch is not None
        assert 0.8 * GAP_STEP_S <= batch.padded_tokens / 100_000 <= GAP_STEP_S
    assert not batcher.is_deep
    batch = batcher.next_batch(1.0 + SHARED_S)
    assert batch is not None
    assert batch.padded_tokens > 4000


def test_interactive_calls_share_whole_steps_beside_a_job() -> None:
    batcher = with_a_job(make(max_batch_tokens=4096, max_queue_tokens=65_536))
    for call in range(1000, 1300):
        batcher.add(call, [10], now_s=1.0, deadline_s=99.0, key="person")
    batch = batcher.next_batch(1.0)
    assert batch is not None
    assert all(item.call >= 1000 for item in batch.items)
    assert len(batch.items) == 300
