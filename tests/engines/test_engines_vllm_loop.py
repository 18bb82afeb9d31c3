"""The loop that vLLM's asynchronous engine runs on, with a stand-in for that: what `AsyncLLM` does of its own is played by the real one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from hanlin.engines.vllm_loop import CORE_DIED_STATUS, VllmLoop

PATIENCE_S = 30


class Engine:
    """Says of requests what it is told to."""

    def __init__(self) -> None:
        self.vllm_config = SimpleNamespace()
        self.errored = False
        self.loop = asyncio.get_running_loop()
        self.output_handler = self.loop.create_task(asyncio.Event().wait())
        self.told: dict[str, tuple[Any, Any]] = {}
        self.said: dict[str, asyncio.Queue[Any]] = {}
        self.is_deaf = False  # requests stay on their way to the core
        self.aborted: list[str] = []
        self.ended_on: list[int] = []

    async def generate(self, prompt: Any, parameters: Any, request_id: str) -> AsyncIterator[Any]:
        """See `AsyncLLM`."""
        self.told[request_id] = (prompt, parameters)
        said = self.said.setdefault(request_id, asyncio.Queue())
        if self.is_deaf:
            await asyncio.Event().wait()
        while True:
            output = await said.get()
            if isinstance(output, Exception):
                raise output
            yield output
            if output.finished:
                return

    async def abort(self, request_id: str) -> None:
        """See `AsyncLLM`."""
        self.aborted.append(request_id)

    def shutdown(self) -> None:
        """See `AsyncLLM`."""
        self.ended_on.append(threading.get_ident())
        self.output_handler.cancel()

    def says(self, *what: tuple[int, Any]) -> None:
        """All at once, as after a step."""

        def say() -> None:
            for request, said in what:
                self.said.setdefault(str(request), asyncio.Queue()).put_nowait(said)

        self.loop.call_soon_threadsafe(say)

    def settle(self) -> None:
        """What was ordered has been done."""
        for _ in range(3):
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self.loop).result(PATIENCE_S)


def output(text: str, *, finished: bool = False) -> SimpleNamespace:
    return SimpleNamespace(text=text, finished=finished)


@pytest.fixture
def made() -> list[Engine]:
    return []


@pytest.fixture
def loop(made: list[Engine]) -> Iterator[VllmLoop]:
    def make() -> Engine:
        made.append(Engine())
        return made[0]

    found = VllmLoop(make)
    yield found
    found.close()


def texts(heard: list[tuple[int, Any]]) -> list[tuple[int, str]]:
    return [(request, said.text) for request, said in heard]


def test_what_is_said_of_one_step_is_heard_together_and_waited_for(loop: VllmLoop, made: list[Engine]) -> None:
    for request in (1, 2, 3):
        loop.add(request, (5, request), f"settings {request}")
    with ThreadPoolExecutor(1) as caller:
        hearing = caller.submit(loop.heard)
        made[0].settle()
        assert not hearing.done(), "nothing had been said"
        made[0].says((1, output("a")), (2, output("b")), (3, output("c", finished=True)))
        assert sorted(texts(hearing.result(PATIENCE_S))) == [(1, "a"), (2, "b"), (3, "c")]
    assert made[0].told["2"] == ({"type": "token", "prompt_token_ids": [5, 2]}, "settings 2")
    for text in "de":
        made[0].says((1, output(text)))
        made[0].settle()
    assert texts(loop.heard()) == [(1, "d"), (1, "e")], "in the order it was said, all that was there"


@pytest.mark.parametrize("is_deaf", [False, True])
def test_who_leaves_is_written_no_further(loop: VllmLoop, made: list[Engine], is_deaf: bool) -> None:
    made[0].is_deaf = is_deaf
    for request in (1, 2):
        loop.add(request, [5], None)
    made[0].settle()
    for request in (1, 1, 9):
        loop.leave(request)
    made[0].settle()
    assert made[0].aborted == ["1"]
    if not is_deaf:
        made[0].says((1, output("lost")), (2, output("kept", finished=True)))
        assert texts(loop.heard()) == [(2, "kept")]
        loop.leave(2)
        made[0].settle()
        assert made[0].aborted == ["1"], "it had ended"


def test_an_error_ends_its_request_alone_and_is_told_by_its_cause(loop: VllmLoop, made: list[Engine]) -> None:
    cause, shell = ValueError("no such id"), RuntimeError()
    shell.__cause__ = cause
    for request in (1, 2, 3):
        loop.add(request, [5], None)
    plain = KeyError("plain")
    made[0].says((1, shell), (2, plain), (3, output("whole", finished=True)))
    found: dict[int, Any] = {}
    while len(found) < 3:
        found |= dict(loop.heard())
    assert (found[1], found[2], found[3].text) == (cause, plain, "whole")


def test_where_it_cannot_be_made_that_is_raised() -> None:
    def make() -> Engine:
        raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        VllmLoop(make)
    assert not [thread for thread in threading.enumerate() if thread.name == "vllm"]


def test_its_end_is_vllms_end_on_the_thread_that_made_it(loop: VllmLoop, made: list[Engine], caplog: pytest.LogCaptureFixture) -> None:
    loop.add(1, [5], None)
    made[0].settle()
    (thread,) = [thread.ident for thread in threading.enumerate() if thread.name == "vllm"]
    loop.close()
    loop.close()
    assert (made[0].aborted, made[0].ended_on, made[0].output_handler.cancelled()) == (["1"], [thread], True)
    assert caplog.messages == []


DYING = """
import asyncio, sys, threading
sys.path[:0] = {path!r}
from tests.engines.test_engines_vllm_loop import Engine, VllmLoop

made = []
loop = VllmLoop(lambda: made.append(Engine()) or made[0])
if {is_idle}:
    made[0].errored = True
    made[0].loop.call_soon_threadsafe(made[0].output_handler.cancel)
else:
    loop.add(1, [5], None)
    def die():
        made[0].errored = True
        made[0].said["1"].put_nowait(RuntimeError("dead"))
    made[0].settle()
    made[0].loop.call_soon_threadsafe(die)
print("heard", loop.heard())
"""


@pytest.mark.parametrize("is_idle", [True, False])
def test_where_the_core_dies_the_process_does(is_idle: bool) -> None:
    script = DYING.format(path=sys.path, is_idle=is_idle)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=4 * PATIENCE_S, check=False)
    assert (done.returncode, done.stdout) == (CORE_DIED_STATUS, ""), done.stderr
    assert done.stderr.startswith("vLLM's core has died")


def test_a_process_that_forgets_to_close_it_ends_all_the_same() -> None:
    script = f"import sys; sys.path[:0] = {sys.path!r}\n" + (
        "from tests.engines.test_engines_vllm_loop import Engine, VllmLoop\n"
        "Engine.shutdown = lambda self: print('shut down', flush=True)\nloop = VllmLoop(Engine)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=4 * PATIENCE_S, check=False)
    assert (done.returncode, done.stdout) == (0, "shut down\n"), done.stderr
