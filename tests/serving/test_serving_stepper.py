"""Streams of an engine: side by side, but nothing beside a suspect; a step that fails is a step that ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping

import numpy as np
import pytest

from hanlin.serving.batcher import Batch, Item
from hanlin.serving.stepper import Step, Stepper


class Gate:
    """A session whose steps wait until they are let through; token 13 raises."""

    step_tokens: int | None = None
    has_tokens = False

    def __init__(self, num_streams: int) -> None:
        self.num_streams = num_streams
        self.open = threading.Event()
        self.is_closed = False

    def run(
        self, input_ids: np.ndarray, attention_mask: np.ndarray, token_type_ids: np.ndarray | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, np.ndarray]:  # fmt: skip
        assert self.open.wait(20)
        if (input_ids == 13).any():
            raise RuntimeError("told to fail")
        return {"logits": input_ids.astype(np.float32)}

    def close(self) -> None:
        self.is_closed = True


def step(token: int, *, is_alone: bool = False) -> Step:
    return Step(Batch((Item(token, 0, 2, 0.0),), 2, is_alone), [[token, token]], None)


async def until(condition: object) -> None:
    for _ in range(1000):
        if condition():  # type: ignore[operator]
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


async def test_streams_run_side_by_side() -> None:
    session, done = Gate(2), list[Step]()
    stepper = Stepper(session, pad_id=0, done=done.append)
    stepper.start(step(1))
    assert (stepper.num_idle, stepper.is_idle) == (1, False)
    stepper.start(step(2))
    assert stepper.num_idle == 0
    session.open.set()
    await until(lambda: len(done) == 2)
    assert (stepper.num_idle, stepper.is_idle) == (2, True)
    assert all(one.outputs is not None and one.error is None for one in done)
    assert sorted(one.num_beside for one in done) == [1, 2]
    stepper.close()
    assert session.is_closed


async def test_a_stream_goes_on_with_the_step_that_is_ahead() -> None:
    session, done = Gate(1), list[Step]()
    stepper = Stepper(session, pad_id=0, done=done.append)
    assert not stepper.has_room_ahead  # it is idle
    stepper.start(step(1))
    assert (stepper.num_idle, stepper.has_room_ahead) == (0, True)
    stepper.start(step(2))
    assert (stepper.num_idle, stepper.has_room_ahead) == (0, False)
    with pytest.raises(AssertionError):
        stepper.start(step(3))
    session.open.set()
    await until(lambda: len(done) == 2)
    assert [(one.rows[0][0], one.num_beside) for one in done] == [(1, 1), (2, 1)]
    assert (stepper.num_idle, stepper.is_idle) == (1, True)
    stepper.close()


async def test_nothing_is_started_beside_a_suspect() -> None:
    session, done = Gate(2), list[Step]()
    stepper = Stepper(session, pad_id=0, done=done.append)
    stepper.start(step(1, is_alone=True))
    assert (stepper.num_idle, stepper.has_room_ahead) == (0, False)
    with pytest.raises(AssertionError):
        stepper.start(step(2))
    session.open.set()
    await until(lambda: done)
    assert stepper.num_idle == 2
    stepper.close()


async def test_a_failed_step_frees_its_stream() -> None:
    session, done = Gate(1), list[Step]()
    session.open.set()
    stepper = Stepper(session, pad_id=0, done=done.append)
    stepper.start(step(13))
    await until(lambda: done)
    assert isinstance(done[0].error, RuntimeError)
    stepper.start(step(1))
    await until(lambda: len(done) == 2)
    assert done[1].error is None
    stepper.close()
