"""Who may join a queue, with plain numbers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hanlin.errors import Overloaded
from hanlin.serving.admission import FEW_CALLS, STRAINED_FEW_CALLS, STRAINED_S, STRAINED_WAIT_S, Admission
from hanlin.serving.batcher import Batcher
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.pool import LocalPool
from hanlin.serving.process import WorkerOptions
from hanlin.serving.router import Request
from hanlin.serving.wire import Answer, Lane


def crowd(**waiting: int) -> Admission:
    admission = Admission(0.2)
    for key, calls in waiting.items():
        for _ in range(calls):
            admission.enter(key)
    return admission


def test_few_calls_may_wait_however_long() -> None:
    assert crowd(a=FEW_CALLS - 1).takes("a", wait_s=60.0, now_s=0.0)
    assert not crowd(a=FEW_CALLS).takes("a", wait_s=60.0, now_s=0.0)


def test_many_calls_may_wait_while_the_wait_is_short() -> None:
    assert crowd(a=10 * FEW_CALLS).takes("a", wait_s=0.2, now_s=0.0)
    assert not crowd(a=10 * FEW_CALLS).takes("a", wait_s=0.21, now_s=0.0)


def test_once_refused_the_queue_stays_short_until_nothing_was_refused_for_a_while() -> None:
    admission = crowd(a=FEW_CALLS)
    assert admission.takes("a", wait_s=2 * STRAINED_WAIT_S, now_s=0.0)
    assert not admission.takes("a", wait_s=1.0, now_s=0.0)
    assert not admission.takes("a", wait_s=2 * STRAINED_WAIT_S, now_s=0.1)
    assert admission.takes("a", wait_s=STRAINED_WAIT_S, now_s=0.2), "a short queue keeps the engine busy"
    assert admission.takes("a", wait_s=2 * STRAINED_WAIT_S, now_s=0.1 + STRAINED_S)


def test_strained_queue_still_takes_a_few() -> None:
    admission = crowd(a=FEW_CALLS)
    assert not admission.takes("a", wait_s=1.0, now_s=0.0)
    for _ in range(FEW_CALLS - STRAINED_FEW_CALLS + 1):
        admission.leave("a")
    assert admission.takes("a", wait_s=1.0, now_s=0.1)


def test_key_of_which_nothing_waits_is_not_refused_for_others() -> None:
    admission = crowd(greedy=10 * FEW_CALLS)
    assert not admission.takes("greedy", wait_s=1.0, now_s=0.0)
    assert admission.takes("modest", wait_s=1.0, now_s=0.0)


def test_the_more_keys_wait_the_fewer_calls_each() -> None:
    each = FEW_CALLS // 4
    assert crowd(a=each, b=1, c=1).takes("a", wait_s=1.0, now_s=0.0)
    assert not crowd(a=each, b=1, c=1, d=1).takes("a", wait_s=1.0, now_s=0.0)


def test_keys_that_wait_no_longer_are_forgotten() -> None:
    admission = crowd(a=1, b=1)
    admission.leave("b")
    assert admission._calls == {"a": 1}


def make(max_wait_s: float = 0.2) -> Batcher:
    batcher = Batcher(max_batch_tokens=1000, max_queue_tokens=10**6, max_wait_s=max_wait_s)
    for tokens in (1000, 500):
        batcher.observe(tokens, tokens / 1000)  # seconds
    return batcher


def fill(batcher: Batcher, calls: int, *, lane: Lane = "interactive", key: str = "a") -> None:
    for call in range(calls):
        batcher.add(call, [10], now_s=0.0, deadline_s=9.0, key=key, lane=lane)


def test_queue_that_is_too_slow_refuses_with_a_time_to_come_back() -> None:
    batcher = make()
    fill(batcher, FEW_CALLS)
    with pytest.raises(Overloaded) as caught:
        batcher.admit(key="a", lane="interactive", now_s=0.0)
    assert caught.value.code == "endpoint_overloaded"
    assert caught.value.retry_after_s == STRAINED_S
    batcher.admit(key="b", lane="interactive", now_s=0.0)


def test_batch_lane_neither_waits_for_this_nor_counts() -> None:
    batcher = make()
    fill(batcher, 10 * FEW_CALLS, lane="batch")
    batcher.admit(key="a", lane="interactive", now_s=0.0)
    batcher = make()
    fill(batcher, FEW_CALLS)
    batcher.admit(key="a", lane="batch", now_s=0.0)


def test_nothing_is_refused_before_the_speed_is_known() -> None:
    batcher = Batcher(max_batch_tokens=1000, max_queue_tokens=10**6, max_wait_s=0.2)
    fill(batcher, 10 * FEW_CALLS)
    batcher.admit(key="a", lane="interactive", now_s=0.0)


def test_steps_that_are_all_as_large_as_can_be_tell_enough() -> None:
    """Such as those of long documents, each of which fills a step."""
    for tokens, is_refused in ((510, True), (490, False)):
        batcher = Batcher(max_batch_tokens=1000, max_queue_tokens=10**6, max_wait_s=0.2)
        for _ in range(10):
            batcher.observe(tokens, tokens / 1000)
        fill(batcher, FEW_CALLS)
        if is_refused:
            with pytest.raises(Overloaded):
                batcher.admit(key="a", lane="interactive", now_s=0.0)
        else:
            batcher.admit(key="a", lane="interactive", now_s=0.0)


def test_what_left_the_queue_counts_no_longer() -> None:
    batcher = make()
    fill(batcher, FEW_CALLS)
    batcher.drop(0)
    while batcher.next_batch(0.0):
        pass
    batcher.admit(key="a", lane="interactive", now_s=0.0)
    batcher.check_integrity()


@pytest.mark.e2e
async def test_flood_of_one_key_is_refused_early_and_another_key_is_answered(tmp_path: Path, make_folder) -> None:  # type: ignore[no-untyped-def]
    make_folder(row_ms=40)  # slower than a busy machine sends
    pool = LocalPool(WorkerOptions(run_dir=tmp_path / "run", max_batch_tokens=64), folders={"m:1": tmp_path / "models" / "m:1"})
    try:
        await pool.ensure(DeploymentSpec("d1", "default", "e", "m", "m:1", "fake-fp32"))

        async def ask(key: str) -> object:
            try:
                return (await pool.submit("default", "e", Request("good bad", {}, 60.0, key))).answer
            except Overloaded as error:
                return error.code

        await ask("flood")
        await asyncio.gather(*(ask("flood") for _ in range(20)))  # the speed is known now
        flood = [asyncio.create_task(ask("flood")) for _ in range(4 * FEW_CALLS)]
        await asyncio.sleep(0.05)
        other = await ask("other")
        answers = await asyncio.gather(*flood)
        assert isinstance(other, Answer)
        assert {answer if isinstance(answer, str) else "answered" for answer in answers} == {"answered", "endpoint_overloaded"}
    finally:
        await pool.drain()
