"""The batcher with integers and a clock that tests turn."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanlin.errors import Overloaded
from hanlin.serving.batcher import MAX_LANE_WAIT_S, Batcher
from hanlin.serving.filling import MAX_PADDING_SHARE


def make(**options: int | None) -> Batcher:
    return Batcher(**{"max_batch_tokens": 256, "max_queue_tokens": 4096, **options})  # type: ignore[arg-type]


def calls_of(batcher: Batcher, now_s: float = 0.0) -> list[int]:
    batch = batcher.next_batch(now_s)
    return [] if batch is None else [item.call for item in batch.items]


def test_nothing_waits_for_company() -> None:
    batcher = make()
    batcher.add(1, [10], now_s=0.0, deadline_s=9.0)
    assert calls_of(batcher) == [1]
    assert calls_of(batcher) == []


def test_token_budget_counts_padding() -> None:
    batcher = make(max_batch_tokens=100)
    for call, length in enumerate([24, 24, 22, 23, 24]):
        batcher.add(call, [length], now_s=0.0, deadline_s=9.0)
    batch = batcher.next_batch(0.0)
    assert batch is not None
    assert (len(batch.items), batch.padded_tokens) == (4, 96)


def test_item_longer_than_budget_runs_alone() -> None:
    batcher = make(max_batch_tokens=100)
    batcher.add(1, [300], now_s=0.0, deadline_s=9.0)
    batcher.add(2, [300], now_s=0.0, deadline_s=9.0)
    assert calls_of(batcher) == [1]


def test_lengths_are_grouped() -> None:
    batcher = make(max_batch_tokens=4096)
    for call in range(20):
        batcher.add(call, [200 if call % 2 else 10], now_s=0.0, deadline_s=9.0)
    first, second = batcher.next_batch(0.0), batcher.next_batch(0.0)
    assert first is not None
    assert second is not None
    assert {first.width, second.width} == {10, 200}
    assert first.tokens == first.padded_tokens


def test_non_invariant_variant_runs_one_row_at_a_time() -> None:
    batcher = make(max_batch_rows=1)
    batcher.add(1, [10, 10, 10], now_s=0.0, deadline_s=9.0)
    assert [len(calls_of(batcher)) for _ in range(4)] == [1, 1, 1, 0]


def test_call_is_split_over_batches_in_order() -> None:
    batcher = make(max_batch_tokens=40)
    batcher.add(1, [10] * 10, now_s=0.0, deadline_s=9.0)
    indices = []
    while batch := batcher.next_batch(0.0):
        indices += [item.index for item in batch.items]
    assert indices == list(range(10))


def test_fair_between_keys_by_tokens() -> None:
    batcher = make(max_batch_tokens=100)
    for call in range(100):
        batcher.add(call, [20], now_s=0.0, deadline_s=99.0, key="greedy")
    batcher.add(1000, [20], now_s=1.0, deadline_s=99.0, key="modest")
    assert 1000 in calls_of(batcher, 1.0) + calls_of(batcher, 1.0)


def test_newcomer_does_not_collect_credit_while_away() -> None:
    batcher = make(max_batch_tokens=10)
    for call in range(50):
        batcher.add(call, [10], now_s=0.0, deadline_s=99.0, key="early")
    for _ in range(40):
        calls_of(batcher)
    for call in range(100, 120):
        batcher.add(call, [10], now_s=1.0, deadline_s=99.0, key="late")
    share = Counter("late" if calls_of(batcher, 1.0)[0] >= 100 else "early" for _ in range(10))
    assert share == {"late": 5, "early": 5}


def test_deadline_passes_in_queue() -> None:
    batcher = make()
    batcher.add(1, [10], now_s=0.0, deadline_s=1.0)
    batcher.add(2, [10], now_s=0.0, deadline_s=5.0)
    assert batcher.next_deadline_s() == 1.0
    assert batcher.expire(0.9) == []
    assert batcher.expire(1.0) == [1]
    assert calls_of(batcher, 1.0) == [2]
    assert batcher.next_deadline_s() is None


def test_drop_frees_tokens_and_is_idempotent() -> None:
    batcher = make()
    batcher.add(1, [10, 20], now_s=0.0, deadline_s=9.0)
    assert batcher.drop(1)
    assert not batcher.drop(1)
    assert batcher.queued_tokens == 0
    assert calls_of(batcher) == []


def test_full_queue_refuses_whole_calls_with_an_estimate() -> None:
    batcher = make(max_queue_tokens=100)
    batcher.observe(1000, 1.0)
    batcher.add(1, [90], now_s=0.0, deadline_s=9.0)
    with pytest.raises(Overloaded) as caught:
        batcher.add(2, [6, 6], now_s=0.0, deadline_s=9.0)
    assert caught.value.code == "queue_full"
    assert caught.value.retry_after_s == pytest.approx(0.05)
    assert batcher.queued_tokens == 90
    batcher.check_integrity()


def test_empty_queue_takes_any_one_call() -> None:
    batcher = make(max_queue_tokens=100)
    batcher.add(1, [500], now_s=0.0, deadline_s=9.0)
    assert batcher.queued_tokens == 500


def test_few_large_calls_of_one_key_leave_room_for_the_first_of_another() -> None:
    batcher = make(max_queue_tokens=800)
    for call in range(7):
        batcher.add(call, [100], now_s=0.0, deadline_s=9.0, key="greedy")
    for key, lane in (("greedy", "interactive"), ("greedy", "batch"), ("modest", "batch")):
        with pytest.raises(Overloaded):
            batcher.add(10, [10], now_s=0.0, deadline_s=9.0, key=key, lane=lane)  # type: ignore[arg-type]
    batcher.add(11, [10], now_s=0.0, deadline_s=9.0, key="modest")
    with pytest.raises(Overloaded):
        batcher.add(12, [10], now_s=0.0, deadline_s=9.0, key="modest")
    with pytest.raises(Overloaded):
        batcher.add(13, [91], now_s=0.0, deadline_s=9.0, key="another")
    batcher.check_integrity()


def test_what_is_dropped_leaves_nothing_behind_in_a_queue_that_never_empties() -> None:
    batcher = make()
    for call in range(0, 1000, 2):
        batcher.add(call, [1], now_s=0.0, deadline_s=9.0)
        batcher.add(call + 1, [500, 600], now_s=0.0, deadline_s=9.0)
        batcher.drop(call + 1)
        batcher.drop(call - 2)  # the next one waits already
    queue = batcher._lanes["interactive"][""]
    assert sum(map(len, queue.buckets.values())) < 100


def test_deadlines_of_calls_that_have_gone_do_not_gather_behind_one_that_waits() -> None:
    batcher = make()
    for call in range(1000):
        batcher.add(2 * call, [1], now_s=call, deadline_s=call + 30.0)
        batcher.add(2 * call + 1, [1], now_s=call, deadline_s=call + 6000.0)
        batcher.expire(call)
        batcher.drop(2 * call + 1)
        batcher.drop(2 * call - 2)  # the next one waits already
        assert batcher.next_deadline_s() == call + 30.0
    assert len(batcher._deadlines) < 100


def test_suspect_shares_its_batch_with_nobody() -> None:
    batcher = make(max_batch_tokens=1000)
    batcher.add(1, [10], now_s=0.0, deadline_s=9.0)
    batcher.add(2, [10, 30], now_s=0.0, deadline_s=9.0, is_suspect=True)
    batcher.add(3, [10], now_s=0.0, deadline_s=9.0)
    batches = [calls_of(batcher) for _ in range(3)]
    assert sorted(batches) == [[], [1, 3], [2, 2]]


ADD = st.tuples(st.just("add"), st.lists(st.integers(1, 300), min_size=1, max_size=5), st.integers(0, 3), st.booleans(), st.integers(0, 20))
ACTION = st.one_of(
    ADD, st.tuples(st.just("drop"), st.integers(0, 60)), st.tuples(st.just("batch")), st.tuples(st.just("tick"), st.integers(1, 5))
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ACTION, max_size=60))
def test_every_item_leaves_exactly_once(actions: list[tuple]) -> None:
    batcher = Batcher(max_batch_tokens=512, max_queue_tokens=2000)
    now_s, number = 0.0, 0
    waiting: dict[int, set[int]] = {}
    for action in actions:
        if action[0] == "add":
            number += 1
            try:
                lane = "batch" if action[3] else "interactive"
                batcher.add(number, action[1], now_s=now_s, deadline_s=now_s + action[4], key=str(action[2]), lane=lane)
            except Overloaded:
                continue
            waiting[number] = set(range(len(action[1])))
        elif action[0] == "drop":
            assert batcher.drop(action[1]) == (waiting.pop(action[1], None) is not None)
        elif action[0] == "tick":
            now_s += action[1]
        else:
            for late in batcher.expire(now_s):
                del waiting[late]
            batch = batcher.next_batch(now_s)
            assert (batch is None) == (not waiting)
            if batch is not None:
                assert len(batch.items) == 1 or batch.padded_tokens <= 512
                assert len(batch.items) == 1 or 1 - batch.tokens / batch.padded_tokens <= MAX_PADDING_SHARE + 1e-9
                for item in batch.items:
                    waiting[item.call].remove(item.index)
                waiting = {call: left for call, left in waiting.items() if left}
        batcher.check_integrity()


def test_idle_streams_share_what_waits() -> None:
    batcher = Batcher(max_batch_tokens=512, max_queue_tokens=10_000)
    for call in range(16):
        batcher.add(call, [20], now_s=0.0, deadline_s=9.0)
    first, second = batcher.next_batch(0.0, num_idle=2), batcher.next_batch(0.0, num_idle=1)
    assert first is not None
    assert second is not None
    assert (len(first.items), len(second.items)) == (8, 8)


def test_a_little_work_is_not_shared() -> None:
    batcher = Batcher(max_batch_tokens=512, max_queue_tokens=10_000)
    for call in range(4):
        batcher.add(call, [10], now_s=0.0, deadline_s=9.0)
    batch = batcher.next_batch(0.0, num_idle=2)
    assert batch is not None
    assert len(batch.items) == 4


def test_a_suspect_waits_until_nothing_else_runs() -> None:
    batcher = Batcher(max_batch_tokens=512, max_queue_tokens=10_000)
    batcher.add(1, [10], now_s=0.0, deadline_s=9.0, is_suspect=True)
    batcher.add(2, [10], now_s=1.0, deadline_s=9.0)
    assert batcher.next_batch(2.0, is_idle=False) is None
    alone = batcher.next_batch(2.0, is_idle=True)
    assert alone is not None
    assert alone.is_alone
    assert [item.call for item in alone.items] == [1]
    rest = batcher.next_batch(2.0, is_idle=False)
    assert rest is not None
    assert not rest.is_alone


def test_a_queue_is_deep_when_two_full_batches_wait() -> None:
    batcher = Batcher(max_batch_tokens=100, max_queue_tokens=1000)
    batcher.add(1, [60, 60, 60], now_s=0.0, deadline_s=9.0)
    assert not batcher.is_deep
    batcher.add(2, [20], now_s=0.0, deadline_s=9.0)
    assert batcher.is_deep
    batcher.drop(2)
    assert not batcher.is_deep


def test_rows_are_taken_one_by_one_in_turns_between_keys_as_far_as_there_is_room() -> None:
    batcher = Batcher(max_batch_tokens=100, max_queue_tokens=10_000)
    batcher.add(1, [40, 40], now_s=0.0, deadline_s=9.0, key="a")
    batcher.add(2, [30], now_s=0.1, deadline_s=9.0, key="b")
    batcher.add(3, [20], now_s=0.2, deadline_s=9.0, key="a", lane="batch")

    def take(room: int | None, *, is_idle: bool = False, has_batch_room: bool = True) -> tuple[int, int] | None:
        item = batcher.next_item(1.0, room=room, is_idle=is_idle, has_batch_room=has_batch_room)
        return None if item is None else (item.call, item.index)

    assert take(39) is None, "the first has to wait for room, and nobody overtakes it"
    assert [take(40), take(None), take(40)] == [(1, 0), (2, 0), (1, 1)]
    assert take(100, has_batch_room=False) is None
    batcher.add(6, [20], now_s=MAX_LANE_WAIT_S + 1, deadline_s=99.0, key="b")
    item = batcher.next_item(MAX_LANE_WAIT_S + 1, room=100, is_idle=False, has_batch_room=False)
    assert item is not None and item.call == 6, "what waits too long in the batch lane, which is full, keeps nobody else waiting"
    assert take(100) == (3, 0)
    assert take(100) is None
    batcher.add(4, [500], now_s=1.0, deadline_s=9.0)
    assert take(100) is None
    assert take(100, is_idle=True) == (4, 0), "what is larger than all the room goes when nothing else runs"
    batcher.add(5, [5], now_s=1.0, deadline_s=9.0, is_suspect=True)
    assert take(100) is None
    assert take(100, is_idle=True) == (5, 0)
    batcher.check_integrity()
