"""Long requests become tokens in turns between keys."""

from __future__ import annotations

import asyncio
import threading

from hanlin.serving.encodings import Encodings
from hanlin.tasks.encoded import Encoded


class Bench:
    """Encodings that wait for `open`; notes which were begun and which ended with what."""

    def __init__(self) -> None:
        self.encodings = Encodings()
        self.open = threading.Event()
        self.begun: list[int] = []
        self.ended: dict[int, object] = {}

    def start(self, call: int, key: str, error: Exception | None = None) -> None:
        def encode() -> Encoded:
            self.begun.append(call)
            assert self.open.wait(20)
            if error is not None:
                raise error
            return Encoded([[call]])

        def done(future: asyncio.Future[Encoded]) -> None:
            self.ended[call] = future.exception() or future.result().rows

        self.encodings.start(call, key, encode, done)

    async def finish(self, count: int) -> None:
        self.open.set()
        for _ in range(2000):
            if len(self.ended) == count and not len(self.encodings):
                self.encodings.close()
                return
            await asyncio.sleep(0.01)
        raise AssertionError(self.ended)


async def test_keys_take_turns_and_calls_of_one_keep_their_order() -> None:
    bench = Bench()
    for call in range(4):
        bench.start(call, "many")
    bench.start(4, "few")
    bench.start(5, "another")
    assert len(bench.encodings) == 6
    await bench.finish(6)
    assert bench.begun == [0, 1, 4, 5, 2, 3]
    assert bench.ended == {call: [[call]] for call in range(6)}


async def test_a_dropped_call_is_not_begun_and_one_at_work_not_told() -> None:
    bench = Bench()
    bench.start(0, "a", ValueError("nobody hears it"))
    bench.start(1, "a")
    bench.start(2, "a")
    assert bench.encodings.drop(0)
    assert bench.encodings.drop(1)
    assert not bench.encodings.drop(1)
    await bench.finish(1)
    assert bench.begun == [0, 2]
    assert list(bench.ended) == [2]


async def test_one_that_fails_holds_nobody_up() -> None:
    bench = Bench()
    bench.start(0, "a", ValueError("broken"))
    bench.start(1, "b")
    await bench.finish(2)
    assert isinstance(bench.ended[0], ValueError)
    assert bench.ended[1] == [[1]]
