"""vLLM as it was heard: every call of its loop with what came of it, recorded from the real library and played back without it.

Played back, a call that is not the recorded one is an error that nothing catches: the stand-in knows no more than it has heard. What is
kept: the arguments of the engine, what its configuration came to, and of each scene the calls of `add`, `leave` and `heard` in their order.
"""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hanlin.engines.vllm_loop import Heard, VllmLoop

CORE = "vllm.v1.engine.core"
FILE = Path(__file__).with_name("vllm_recording.json")
_DIGITS = 6


class Differs(BaseException):
    """A call that was not recorded. No Exception: the engine takes those for vLLM's."""


class Recorder:
    """A real `VllmLoop` that is written down."""

    def __init__(self, loop: VllmLoop) -> None:
        self.loop, self.config, self.close = loop, loop.config, loop.close
        self._last = 0
        self.begin()

    def begin(self) -> None:
        """Anew: requests count from 1, and no earlier one is heard of."""
        self.events: list[Any] = []
        self._first = self._last

    def add(self, request: int, *arguments: Any) -> None:
        """See `VllmLoop`."""
        self._last = request
        self.events.append([["add", request - self._first, *map(plain, arguments)], None])
        self.loop.add(request, *arguments)

    def leave(self, request: int) -> None:
        """See `VllmLoop`."""
        self.events.append([["leave", request - self._first], None])
        self.loop.leave(request)

    def heard(self) -> list[Heard]:
        """See `VllmLoop`."""
        found = self.loop.heard()
        self.events.append([["heard"], [[number, said_to_json(said)] for request, said in found if (number := request - self._first) > 0]])
        return found


class Player:
    """A stand-in for a `VllmLoop` whose `events` are known."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        model = SimpleNamespace(max_model_len=config["max_model_len"], get_vocab_size=lambda: config["vocab_size"])
        cache = SimpleNamespace(num_gpu_blocks=config["num_gpu_blocks"], block_size=config["block_size"])
        self.config = SimpleNamespace(model_config=model, cache_config=cache)
        self.events: list[Any] = []
        self.is_closed = False

    def add(self, *arguments: Any) -> None:
        """As it was."""
        self._answer(["add", *map(plain, arguments)])

    def leave(self, request: int) -> None:
        """As it was."""
        self._answer(["leave", request])

    def heard(self) -> list[Heard]:
        """As it was."""
        return [(request, said_of(told)) for request, told in self._answer(["heard"])]

    def close(self) -> None:
        """It is noted."""
        self.is_closed = True

    def _answer(self, call: list[Any]) -> Any:
        expected, answer = self.events.pop(0) if self.events else (None, None)
        if json.loads(json.dumps(call)) != expected:
            raise Differs(f"{call}\nwas\n{expected}")
        return answer


def standing_in(recording: Mapping[str, Any], folder: Path) -> dict[str, ModuleType]:
    """Modules that stand where vLLM's would, whose engine is a `Player`; for `sys.modules`."""
    player = Player(recording["config"])
    seen: dict[str, Any] = {}

    def arguments(**told: Any) -> dict[str, Any]:
        seen.update(engine_arguments(told, folder))
        if json.loads(json.dumps(seen)) != recording["arguments"]:
            raise Differs(f"{seen}\nwas\n{recording['arguments']}")
        return told

    kinds = enum.Enum("RequestOutputKind", ["CUMULATIVE", "DELTA", "FINAL_ONLY"])
    modules = {name: ModuleType(name) for name in ("vllm", "vllm.sampling_params", "vllm.platforms", CORE)}
    vars(modules["vllm"]).update(AsyncEngineArgs=arguments, AsyncLLMEngine=SimpleNamespace(from_engine_args=lambda _: None), player=player)
    vars(modules[CORE]).update(EngineCoreProc=type("EngineCoreProc", (), {"run_engine_core": None}))
    vars(modules["vllm.sampling_params"]).update(SamplingParams=dict, StructuredOutputsParams=dict, RequestOutputKind=kinds)
    platform = SimpleNamespace(is_unspecified=lambda: False, is_cpu=lambda: True)
    vars(modules["vllm.platforms"]).update(current_platform=platform)
    return modules


@contextmanager
def recorded(heard: dict[str, Any], folder: Path) -> Iterator[list[Recorder]]:
    """Within it, engines that are loaded from `folder` are recorders, whose arguments and configuration go into `heard`."""
    from hanlin.engines.vllm_engine import import_vllm

    vllm, made = import_vllm(), list[Recorder]()

    def start(make: Callable[[], Any]) -> Recorder:
        recorder = Recorder(VllmLoop(make))
        for name in ("SamplingParams", "StructuredOutputsParams"):  # by now all of vLLM has been imported
            patch.setattr(vllm.sampling_params, name, remembering(getattr(vllm.sampling_params, name)))
        model, cache = recorder.config.model_config, recorder.config.cache_config
        heard["config"] = {
            "max_model_len": model.max_model_len, "vocab_size": model.get_vocab_size(), "num_gpu_blocks": cache.num_gpu_blocks,
            "block_size": cache.block_size,
        }  # fmt: skip
        made.append(recorder)
        return recorder

    def arguments(**told: Any) -> Any:
        heard["arguments"] = engine_arguments(told, folder)
        return vllm.AsyncEngineArgs(**told)

    def remembering(kind: Any) -> Callable[..., Any]:
        def make(**told: Any) -> Any:
            value = kind(**told)
            _TOLD[id(value)] = (value, told)
            return value

        return make

    library = SimpleNamespace(AsyncEngineArgs=arguments, AsyncLLMEngine=vllm.AsyncLLMEngine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hanlin.engines.vllm_engine.VllmLoop", start)
        patch.setattr("hanlin.engines.vllm_engine.import_vllm", lambda: library)
        yield made


_TOLD: dict[int, tuple[Any, Mapping[str, Any]]] = {}  # what vLLM's values were made of, and the values, that their names stay theirs


def plain(value: Any) -> Any:
    """An argument as JSON."""
    if id(value) in _TOLD:
        value = _TOLD[id(value)][1]
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in sorted(value.items(), key=lambda pair: str(pair[0]))}
    if isinstance(value, enum.Enum):
        return value.name
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def engine_arguments(told: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Without what differs from run to run."""
    assert told["model"] == str(folder)
    return {**told, "model": "FOLDER", "tokenizer": "WORDS"}


def said_to_json(said: Any) -> dict[str, Any]:
    """What was said of a request as JSON."""
    return {"raises": f"{type(said).__name__}: {said}"[:200]} if isinstance(said, Exception) else output_to_json(said)


def said_of(told: Mapping[str, Any]) -> Any:
    """The other way."""
    return RuntimeError(told["raises"]) if "raises" in told else output_of(told)


def output_to_json(output: Any) -> dict[str, Any]:
    """Of vLLM's `RequestOutput`, what the engine reads."""
    (written,) = output.outputs
    return {
        "finished": output.finished, "cached": output.num_cached_tokens,
        "prompt": None if output.prompt_logprobs is None else [_chances(each) for each in output.prompt_logprobs],
        "tokens": list(written.token_ids), "reason": written.finish_reason,
        "chances": None if written.logprobs is None else [_chances(each) for each in written.logprobs],
    }  # fmt: skip


def output_of(told: Mapping[str, Any]) -> SimpleNamespace:
    """The other way."""
    written = SimpleNamespace(token_ids=told["tokens"], finish_reason=told["reason"], logprobs=_all_read(told["chances"]))
    return SimpleNamespace(
        finished=told["finished"], num_cached_tokens=told["cached"], prompt_logprobs=_all_read(told["prompt"]),
        outputs=[written],
    )  # fmt: skip


def _chances(place: Mapping[int, Any] | None) -> Any:
    return None if place is None else [[token, round(each.logprob, _DIGITS), each.rank] for token, each in place.items()]


def _all_read(places: Any) -> Any:
    if places is None:
        return None
    return [None if place is None else {token: SimpleNamespace(logprob=log, rank=rank) for token, log, rank in place} for place in places]


def installed(modules: Mapping[str, ModuleType], patch: pytest.MonkeyPatch) -> None:
    """Put the stand-in where imports find it."""
    patch.setattr("hanlin.engines.vllm_engine.VllmLoop", lambda make: make() or modules["vllm"].player)
    for name, module in modules.items():
        patch.setitem(sys.modules, name, module)
