"""Continuous batching behind a queue: rows come and go one by one, are told as they are written, and every call ends exactly once."""

from __future__ import annotations

import asyncio
import json
import random
import threading

import pytest
from tests.serving.generating import FAIL, REFUSE, Caller, Watched
from tests.serving.test_serving_writing import until

from hanlin.serving.batcher import Batcher
from hanlin.serving.engine_queue import EngineQueue
from hanlin.serving.turns import Turns
from hanlin.serving.wire import Answer


async def test_each_row_is_told_as_it_comes_and_the_answer_holds_all() -> None:
    caller = Caller(Watched())
    caller.call(1, "w2 w3 w4 w5")
    caller.call(2, ["w6 w7", "w8 w9 w10"], max_new_tokens=2)
    caller.call(3, "w11 w12", is_streamed=False)
    await caller.end()
    assert caller.body(1) == {"ids": [5, 4, 3, 2], "finish": "stop"}
    assert caller.body(2) == [{"ids": [7, 6], "finish": "stop"}, {"ids": [10, 9], "finish": "length"}]
    assert caller.body(3) == {"ids": [12, 11], "finish": "stop"}
    assert caller.told(1) == [5, 4, 3, 2]
    assert (caller.told(2, 0), caller.told(2, 1)) == ([7, 6], [10, 9])
    assert 3 not in caller.parts
    assert sum(part.written for part in caller.parts[1]) == 4
    values = caller.replica.values()
    assert (values["written_tokens_total"], values["first_tokens_total"], values["open_rows"]) == (10, 4, 0)
    assert 0 < values["first_token_seconds_total"] < 10


async def test_a_row_joins_others_that_are_being_written() -> None:
    session = Watched(is_free=False)
    caller = Caller(session)
    caller.call(1, "w2 w3 w4 w5")
    session.go.release(1)
    await until(lambda: caller.told(1) == [5])
    caller.call(2, "w6")
    await until(lambda: caller.replica.values()["open_rows"] == 2)  # else the turns might be over before it is taken on
    session.go.release(2)
    await until(lambda: 2 in caller.replies)
    assert 1 not in caller.replies
    session.go.release(10)
    await caller.end()
    assert caller.told(1) == [5, 4, 3, 2]


async def test_places_and_room_bound_what_is_open_and_a_cancel_frees_them_by_the_next_turn() -> None:
    session = Watched(is_free=False, max_rows=3, room_tokens=100)
    caller = Caller(session)
    held = [caller.call(number, "w2 w3", max_new_tokens=38) for number in (1, 2)]
    caller.call(3, "w4 w5", max_new_tokens=38)
    caller.call(4, "w6 w7", max_new_tokens=18)
    session.go.release(1)
    await until(lambda: 1 in caller.parts)
    assert caller.replica.values()["open_rows"] == 2, "the third has to wait for room, and nobody overtakes it"
    caller.replica.cancel(held[0])
    caller.replica.cancel(held[1])
    await until(lambda: caller.replica.values()["open_rows"] == 2)
    session.go.release(50)
    await caller.end()
    assert (caller.body(3), caller.body(4)) == ({"ids": [5, 4], "finish": "stop"}, {"ids": [7, 6], "finish": "stop"})
    assert not {1, 2} & caller.replies.keys()
    assert caller.replica.values()["cancelled_total"] == 2


async def test_a_failed_turn_fails_what_is_open_and_nothing_else() -> None:
    session = Watched(is_free=False, max_rows=2)
    caller = Caller(session)
    caller.call(1, f"w{FAIL} w2")
    caller.call(2, "w3 w4 w5 w6")
    caller.call(3, "w7 w8")
    session.go.release(1)
    await until(lambda: caller.told(2) == [6])
    session.go.release(50)
    await caller.end()
    assert {caller.code(1), caller.code(2)} == {"engine_step_failed"}
    assert caller.body(3) == {"ids": [8, 7], "finish": "stop"}
    assert caller.told(2) == [6]


async def test_a_row_that_fails_alone_fails_its_call_alone() -> None:
    caller = Caller(Watched())
    caller.call(1, ["w9 w8 w7 w6 w5 w4 w3", f"w{REFUSE} w2"])
    caller.call(2, "w3 w4")
    await caller.end()
    assert caller.code(1) == "engine_step_failed"
    assert caller.body(2) == {"ids": [4, 3], "finish": "stop"}


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_stop_word_ends_the_row_and_frees_its_place(is_streamed: bool) -> None:
    session = Watched(is_endless=True)
    caller = Caller(session)
    caller.call(1, "w2 w3 w4 w5", is_streamed=is_streamed, max_new_tokens=1000, stop=3)
    await caller.end()
    (reply,) = caller.replies[1]
    assert isinstance(reply, Answer)
    assert json.loads(reply.body)["finish"] == "stop"
    assert reply.written < 1000, "it was written in vain"
    assert caller.told(1) == ([5, 4] if is_streamed else [])


async def test_deadlines_hold_between_turns_and_while_waiting() -> None:
    session = Watched(is_endless=True, step_ms=10, max_rows=1)
    caller = Caller(session)
    caller.call(1, "w2 w3", max_new_tokens=5000, timeout_s=0.3)
    caller.call(2, "w4 w5", max_new_tokens=5000, timeout_s=0.1)
    caller.call(3, "w6 w7", max_new_tokens=3)
    await caller.end()
    assert (caller.code(1), caller.code(2)) == ("deadline_exceeded", "deadline_exceeded")
    assert caller.told(1)
    assert caller.body(3) == {"ids": [7, 6, 7], "finish": "length"}
    assert caller.replica.values()["expired_total"] == 2


async def test_a_suspect_is_alone() -> None:
    session = Watched(is_free=False)
    caller = Caller(session)
    caller.call(1, "w2 w3 w4")
    session.go.release(1)
    await until(lambda: 1 in caller.parts)
    caller.call(2, "w5 w6 w7", is_suspect=True)
    caller.call(3, "w8 w9")
    for _ in range(7):
        session.go.release(1)
        await asyncio.sleep(0.05)
        assert len({*session._open} & {2}) * len(session._open) < 2
    session.go.release(50)
    await caller.end()
    assert [caller.body(number) for number in (1, 2, 3)] == [
        {"ids": [4, 3, 2], "finish": "stop"}, {"ids": [7, 6, 5], "finish": "stop"}, {"ids": [9, 8], "finish": "stop"},
    ]  # fmt: skip
    assert session.admitted.index((5, 6, 7)) == 1, "it waits for its turn, not for ever"


async def test_steps_and_rows_take_turns() -> None:
    session = Watched(step_ms=5, max_rows=2, is_endless=True)
    caller = Caller(session)
    for number in range(40):
        caller.call(number, "w2 w3", max_new_tokens=20, key=f"k{number % 3}")
    for number in range(100, 120):
        caller.call(number, "w4 w5", is_streamed=False, max_new_tokens=20, **{"reads": 1} if number % 2 else {"num_beams": 2})
    await until(lambda: {101, 100} & caller.replies.keys())
    assert set(range(40)) - caller.replies.keys(), "steps starve until no row is left"
    await until(lambda: len(caller.replies) == 60)
    await caller.end()
    assert all(isinstance(reply, Answer) for (reply,) in caller.replies.values())


async def test_who_does_not_keep_up_is_told_in_larger_parts() -> None:
    session = Watched(is_free=False)
    caller = Caller(session)
    caller.call(1, " ".join(f"w{number}" for number in range(2, 30)))
    session.go.release(2)
    await until(lambda: len(caller.told(1)) == 2)
    caller.is_full = True
    session.go.release(20)
    await until(lambda: session.go._value == 0)
    await asyncio.sleep(0.05)
    assert len(caller.held) == 1
    assert len(caller.told(1)) == 2
    caller.is_full = False
    caller.held.pop()()
    assert caller.parts[1][-1].written == 20
    session.go.release(20)
    await caller.end()
    assert caller.told(1) == list(range(29, 1, -1))
    assert sum(part.written for part in caller.parts[1]) == 28


async def test_a_streamed_call_behind_another_queue_is_told_in_one_part_a_row() -> None:
    session = Watched()
    caller = Caller(session)
    caller.replica.queue = EngineQueue(session, Batcher(max_batch_tokens=600, max_queue_tokens=10_000), pad_id=0)
    caller.call(1, ["w2 w3", "w4 w5 w6"])
    await until(lambda: caller.replies)
    assert (caller.told(1, 0), caller.told(1, 1)) == ([3, 2], [6, 5, 4])
    assert [part.written for part in caller.parts[1]] == [2, 3]
    caller.replica.queue.close()
    caller.replica.close()


async def test_a_model_that_is_taken_away_amid_its_rows_ends_its_thread() -> None:
    session = Watched(is_endless=True, step_ms=5, max_rows=1)
    caller = Caller(session)
    numbers = [caller.call(number, "w2 w3", max_new_tokens=5000, timeout_s=1.0) for number in (1, 2)]
    await until(lambda: caller.parts)
    assert not await caller.replica.drain(0.05)
    await asyncio.to_thread(caller.replica.close)
    assert not [thread for thread in threading.enumerate() if thread.ident in session.threads]
    caller.replica.cancel(numbers[0])
    await until(lambda: 2 in caller.replies)
    assert caller.code(2) == "deadline_exceeded", "who still waits is told in time"
    assert caller.replica.num_inflight == 0


@pytest.mark.parametrize("seed", range(12))
async def test_every_call_ends_once_whatever_happens(seed: int) -> None:
    """Random calls of all kinds with cancels, deadlines, failing turns and rows, full outlets: one end each, and nothing stays behind."""
    draw = random.Random(seed)
    session = Watched(
        step_ms=draw.choice([0, 1]), max_rows=draw.choice([1, 2, 5]), room_tokens=draw.choice([None, 60, 300]),
        turn_tokens=draw.choice([1, 3]),
    )  # fmt: skip
    caller = Caller(session, turns=draw.choice([None, Turns(1)]))
    cancelled: set[int] = set()
    is_streamed: dict[int, bool] = {}
    expected: dict[int, list[list[int]]] = {}
    for number in range(1, 120):
        tokens = [[draw.randrange(2, 48) for _ in range(draw.randrange(1, 20))] for _ in range(draw.choice([1, 1, 3]))]
        if draw.random() < 0.1:
            draw.choice(tokens).insert(0, draw.choice([FAIL, REFUSE]))
        more: dict[str, int] = draw.choice([{}, {}, {}, {"num_beams": 2}, {"max_new_tokens": 5}])
        is_streamed[number] = draw.random() < 0.7
        texts = [" ".join(f"w{token}" for token in row) for row in tokens]
        name = caller.call(
            number, texts, is_streamed=is_streamed[number], timeout_s=draw.choice([30, 30, 30, 0.02]),
            is_suspect=draw.random() < 0.05, key=draw.choice("abc"), lane=draw.choice(["interactive", "interactive", "batch"]), **more,
        )  # fmt: skip
        expected[number] = [row[::-1][: more.get("max_new_tokens", 100)] for row in tokens]
        if draw.random() < 0.3:
            await asyncio.sleep(draw.random() / 100)
        if draw.random() < 0.15 and number not in caller.replies:
            caller.replica.cancel(name)
            cancelled.add(number)
        caller.is_full = draw.random() < 0.2
        if not caller.is_full:
            held, caller.held = caller.held, []
            for again in held:
                again()
    caller.is_full = False
    for again in caller.held:
        again()
    await caller.end()
    assert all(len(replies) == 1 for replies in caller.replies.values())
    assert caller.replies.keys() | cancelled == set(range(1, 120))
    assert not caller.replies.keys() & cancelled
    answered = [number for number, (reply,) in caller.replies.items() if isinstance(reply, Answer)]
    assert len(answered) > 30
    for number in answered:
        body = caller.body(number)
        assert [row["ids"] for row in body] == expected[number]  # type: ignore[attr-defined]
        if is_streamed[number]:
            assert [caller.told(number, row) for row in range(len(expected[number]))] == expected[number]
            (reply,) = caller.replies[number]
            assert isinstance(reply, Answer)
            assert sum(part.written for part in caller.parts[number]) == reply.written
    codes = {caller.code(number) for number in caller.replies.keys() - set(answered)}
    assert codes <= {"engine_step_failed", "deadline_exceeded"}
