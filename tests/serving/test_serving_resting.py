"""When the models of a worker rest, and what is done to them then."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.serving.conftest import MakeFolder

from hanlin.engines.fake import FakeSession
from hanlin.serving import host as host_module
from hanlin.serving.host import Host
from hanlin.serving.orders import Facts, Line, Load, ModelFacts, Ready
from hanlin.serving.resting import Resting, rest


def facts(calls: int, *, inflight: int = 0, queued: int = 0) -> ModelFacts:
    return ModelFacts(calls, inflight, queued, 0.0, calls)


def test_a_model_rests_once_after_a_while_without_a_call() -> None:
    resting = Resting(after_s=5)
    assert resting.due({"a": facts(1), "b": facts(1)}, 0.0) == []
    assert resting.due({"a": facts(1), "b": facts(2)}, 4.0) == []
    assert resting.due({"a": facts(1), "b": facts(2)}, 5.0) == ["a"]
    assert resting.due({"a": facts(1), "b": facts(2)}, 9.0) == ["b"]
    assert resting.due({"a": facts(1), "b": facts(2)}, 99.0) == []


def test_a_model_that_was_called_again_rests_again() -> None:
    resting = Resting(after_s=5)
    seen = [resting.due({"a": facts(calls)}, now) for calls, now in ((1, 0), (1, 5), (2, 6), (2, 10), (2, 11), (2, 20))]
    assert seen == [[], ["a"], [], [], ["a"], []]


@pytest.mark.parametrize("busy", [facts(1, inflight=1), facts(1, queued=7)])
def test_a_call_that_takes_long_is_no_rest(busy: ModelFacts) -> None:
    resting = Resting(after_s=5)
    assert [resting.due({"a": busy}, now) for now in (0.0, 6.0, 60.0)] == [[], [], []]
    assert [resting.due({"a": facts(1)}, now) for now in (61.0, 66.0)] == [[], ["a"]]


def test_a_name_that_comes_again_is_another_model() -> None:
    resting = Resting(after_s=5)
    resting.due({"a": facts(1)}, 0.0)
    resting.due({}, 1.0)
    assert [resting.due({"a": facts(1)}, now) for now in (6.0, 10.0, 11.0)] == [[], [], ["a"]]


@dataclass
class Sleeper:
    """A session as far as resting knows one."""

    breaks: bool = False
    rests: int = 0

    num_streams, step_tokens, has_tokens = 1, None, False

    def run(self, *arrays: object, with_tokens: bool = False) -> object:
        raise AssertionError("nobody asks it")

    def close(self) -> None:
        raise AssertionError("nobody ends it")

    def rest(self) -> None:
        self.rests += 1
        if self.breaks:
            raise RuntimeError("Attempt to call release_memory() on a busy model")


def test_one_that_cannot_rest_does_not_keep_the_others_from_it(capsys: pytest.CaptureFixture[str]) -> None:
    broken, good = Sleeper(breaks=True), Sleeper()
    assert rest([broken, object(), good])
    assert (broken.rests, good.rests) == (1, 1)
    assert "release_memory" in capsys.readouterr().err
    assert not rest([broken, object()])


async def test_a_worker_lets_its_models_rest_and_goes_on_telling_of_them(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end, told = threading.Event(), threading.Event(), list[Line]()

    def slow_rest(session: FakeSession) -> None:
        begun.set()
        may_end.wait(10)

    monkeypatch.setattr(FakeSession, "rest", slow_rest, raising=False)
    monkeypatch.setattr(host_module, "Resting", lambda: Resting(after_s=0.2))
    host = Host(told.append, alive_s=0.1)
    telling = asyncio.create_task(host.tell_facts())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "model.sock"))
        host.take(Load("a", token="t", folder=str(make_folder()), variant="fake-fp32", version="m:1"), listener)
        try:
            async with asyncio.timeout(20):
                while not any(isinstance(news, Ready) for news in told):
                    await asyncio.sleep(0.02)
                assert await asyncio.to_thread(begun.wait, 10)
                before = sum(isinstance(news, Facts) for news in told)
                while sum(isinstance(news, Facts) for news in told) < before + 3:
                    await asyncio.sleep(0.02)
        finally:
            may_end.set()
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
            await host.close(1.0)
