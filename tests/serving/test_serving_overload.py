"""C057: ten times as much as can be done, for a minute, then as much as can be: the batcher with plain integers and its own clock."""

from __future__ import annotations

import pytest

from hanlin.errors import Overloaded
from hanlin.serving.batcher import Batcher

TOKENS = 200  # of a text
SPEED = 10_000.0  # tokens a second: 50 texts
QUEUE, MAX_WAIT_S = 20_000, 1.0
STEP_TOKENS = 2_000
OVERLOAD_S = 60.0


class Engine:
    """Runs what the batcher gives it, one step after the other, as long as their tokens take."""

    def __init__(self, batcher: Batcher) -> None:
        self.batcher = batcher
        self.free_s = 0.0
        self.ends_s: dict[int, float] = {}  # when a call was answered
        self.deepest = 0

    def run_until(self, now_s: float) -> None:
        self.deepest = max(self.deepest, self.batcher.queued_tokens)
        while self.free_s <= now_s:
            assert self.batcher.expire(self.free_s) == []
            batch = self.batcher.next_batch(self.free_s)
            if batch is None:
                self.free_s = now_s
                return
            seconds = batch.padded_tokens / SPEED
            self.batcher.observe(batch.padded_tokens, seconds)
            self.free_s += seconds
            self.ends_s |= {item.call: self.free_s for item in batch.items}


def arrive(engine: Engine, comes_s: dict[int, float], *, every_s: float, until_s: float, first: int = 0) -> list[Overloaded]:
    """Calls of three keys that come at a steady pace; those that were taken on are noted in `comes_s`."""
    refused: list[Overloaded] = []
    now_s, number = max(comes_s.values(), default=0.0), first
    while (now_s := now_s + every_s) < until_s:
        engine.run_until(now_s)
        number += 1
        try:
            engine.batcher.admit(key=f"key{number % 3}", lane="interactive", now_s=now_s)
            engine.batcher.add(number, [TOKENS], now_s=now_s, deadline_s=now_s + 10.0, key=f"key{number % 3}")
        except Overloaded as error:
            refused.append(error)
        else:
            comes_s[number] = now_s
    return refused


@pytest.mark.parametrize("max_wait_s", [MAX_WAIT_S, float("inf")])  # refused for the time it takes, or for the room there is
def test_ten_times_what_can_be_done_is_refused_and_what_was_taken_on_is_answered(max_wait_s: float) -> None:
    batcher = Batcher(max_batch_tokens=STEP_TOKENS, max_queue_tokens=QUEUE, max_wait_s=max_wait_s)
    engine, comes_s = Engine(batcher), dict[int, float]()
    each_s = TOKENS / SPEED
    refused = arrive(engine, comes_s, every_s=each_s / 10, until_s=OVERLOAD_S)
    assert 0.99 * OVERLOAD_S / each_s < len(comes_s) < 1.02 * OVERLOAD_S / each_s + QUEUE / TOKENS, "the engine was never without work"
    assert len(refused) > 8 * len(comes_s)
    assert {error.code for error in refused} == {"endpoint_overloaded" if max_wait_s == MAX_WAIT_S else "queue_full"}
    assert all(error.retry_after_s for error in refused)
    assert engine.deepest <= QUEUE
    calm = arrive(engine, after := {10**6: OVERLOAD_S + 10.0}, every_s=1.02 * each_s, until_s=OVERLOAD_S + 40.0, first=10**6)
    assert calm == [], "ten seconds later it is as before"
    engine.run_until(OVERLOAD_S + 60.0)
    del after[10**6]
    assert engine.ends_s.keys() == comes_s.keys() | after.keys(), "each was answered"
    waits_s = sorted(engine.ends_s[call] - begun_s for call, begun_s in comes_s.items())
    step_s = STEP_TOKENS / SPEED
    assert waits_s[-1] <= QUEUE / SPEED + 2 * step_s
    assert max_wait_s != MAX_WAIT_S or waits_s[-len(waits_s) // 20] <= 3 * step_s, "the queue was kept short"
    assert max(engine.ends_s[call] - begun_s for call, begun_s in after.items()) < 0.1
    assert (batcher.queued_tokens, batcher.queued_calls) == (0, 0)
    batcher.check_integrity()
