"""Who else asks: what the batch lane, other models and other keys leave to those who want texts written."""

from __future__ import annotations

from tests.serving.generating import Caller, Watched
from tests.serving.test_serving_writing import until

from hanlin.serving.turns import Turns


async def test_the_batch_lane_leaves_places_to_those_in_a_hurry() -> None:
    session = Watched(is_free=False, is_endless=True)
    caller = Caller(session)
    for number in range(10):
        caller.call(number, "w2 w3", lane="batch", max_new_tokens=50)
    session.go.release(1)
    await until(lambda: len(caller.parts) == 3)
    caller.call(100, "w4", max_new_tokens=3)
    session.go.release(5)
    await until(lambda: 100 in caller.replies)
    session.go.release(1000)
    await caller.end()
    assert session.most == 4


async def test_beside_others_the_batch_lane_has_few_places() -> None:
    session = Watched(is_free=False, is_endless=True)
    caller = Caller(session)
    caller.call(100, "w4", max_new_tokens=6)
    session.go.release(1)
    await until(lambda: 100 in caller.parts)
    for number in range(4):
        caller.call(number, "w2 w3", lane="batch", max_new_tokens=50)
    session.go.release(4)
    await until(lambda: 0 in caller.parts)
    assert caller.replica.values()["open_rows"] == 2
    session.go.release(1)
    await until(lambda: 100 in caller.replies)
    await until(lambda: caller.replica.values()["open_rows"] == 3)  # nobody is in a hurry: three of the four places
    session.go.release(1000)
    await caller.end()
    assert session.most == 3


async def test_models_of_one_process_take_turns() -> None:
    turns = Turns(1)
    first, second = Caller(Watched(step_ms=1), turns=turns), Caller(Watched(step_ms=1, is_endless=True), turns=turns)
    long = " ".join(["w5"] * 30)
    first.call(1, long)
    second.call(1, "w2", max_new_tokens=2000)
    await until(lambda: 1 in first.replies)
    assert 1 not in second.replies
    second.replica.cancel(1)
    second.call(2, "w3", max_new_tokens=2)
    await first.end()
    await second.end()
    assert second.body(2) == {"ids": [3, 3], "finish": "length"}


async def test_a_full_queue_refuses_at_once() -> None:
    session = Watched(is_free=False, max_rows=1)
    caller = Caller(session, queue_tokens=100)
    caller.call(1, "w2", max_new_tokens=50)
    await until(lambda: session.admitted)
    caller.call(2, "w3", max_new_tokens=80)
    caller.call(3, "w4", max_new_tokens=80)
    assert caller.code(3) == "queue_full"
    session.go.release(100)
    await caller.end()
    assert caller.body(2) == {"ids": [3], "finish": "stop"}


async def test_who_floods_with_streams_keeps_no_other_key_waiting() -> None:
    session = Watched(is_free=False, max_rows=2, is_endless=True)
    caller = Caller(session, queue_tokens=1000)
    flood, others = range(1, 61), range(101, 106)
    for number in flood:
        caller.call(number, "w2 w3", max_new_tokens=18, key="flood")
    refused = {number for number in flood if number in caller.replies}
    assert refused and {caller.code(number) for number in refused} == {"queue_full"}
    session.go.release(1)
    await until(lambda: len(caller.parts) == 2)
    for number in others:
        caller.call(number, f"w4 w{number - 90}", max_new_tokens=18, key=f"k{number}")
    assert not caller.replies.keys() & {*others}, "a part of the queue is theirs"
    session.go.release(10_000)
    await caller.end()
    assert [row[1] for row in session.admitted[:9]] == [3, 3, 3, 11, 12, 13, 14, 15, 3], "in turns between keys"
    assert all(len(caller.told(number)) == 18 for number in {*flood, *others} - refused)
