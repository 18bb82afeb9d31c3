"""vLLM as it was heard: every call of its engine with what came of it, recorded from the real library and played back without it.

Played back, a call that is not the recorded one is an error that nothing catches: the stand-in knows no more than it has heard. What is
kept: the arguments of the engine, what its configuration came to, and of each scene the calls of `add_request`, `abort_request` and `step`
in their order.
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

FILE = Path(__file__).with_name("vllm_recording.json")
_DIGITS = 6


class Differs(BaseException):
    """A call that was not recorded. No Exception: the engine takes those for vLLM's."""


class Recorder:
    """A real `LLMEngine` that is written down."""

    def __init__(self, engine: Any, events: list[Any]) -> None:
        self._engine, self.events = engine, events
        self.vllm_config, self.engine_core = engine.vllm_config, engine.engine_core

    def add_request(self, *arguments: Any) -> None:
        """See vLLM's."""
        self._heard(["add_request", *map(plain, arguments)], lambda: self._engine.add_request(*arguments) and None)

    def abort_request(self, *arguments: Any) -> None:
        """See vLLM's."""
        self._heard(["abort_request", *map(plain, arguments)], lambda: self._engine.abort_request(*arguments))

    def step(self) -> Any:
        """See vLLM's."""
        return self._heard(["step"], self._engine.step)

    def _heard(self, call: list[Any], run: Callable[[], Any]) -> Any:
        try:
            answer = run()
        except Exception as error:
            self.events.append([call, {"raises": f"{type(error).__name__}: {error}"[:200]}])
            raise
        self.events.append([call, None if answer is None else [output_to_json(each) for each in answer]])
        return answer


class Player:
    """A stand-in for an `LLMEngine` whose `events` are known."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        model = SimpleNamespace(max_model_len=config["max_model_len"], get_vocab_size=lambda: config["vocab_size"])
        cache = SimpleNamespace(num_gpu_blocks=config["num_gpu_blocks"], block_size=config["block_size"])
        self.vllm_config = SimpleNamespace(model_config=model, cache_config=cache)
        self.engine_core = SimpleNamespace(shutdown=lambda: None)
        self.events: list[Any] = []

    def add_request(self, *arguments: Any) -> None:
        """As it was."""
        self._answer(["add_request", *map(plain, arguments)])

    def abort_request(self, *arguments: Any) -> None:
        """As it was."""
        self._answer(["abort_request", *map(plain, arguments)])

    def step(self) -> list[Any]:
        """As it was."""
        return [output_of(each) for each in self._answer(["step"])]

    def _answer(self, call: list[Any]) -> Any:
        expected, answer = self.events.pop(0) if self.events else (None, None)
        if json.loads(json.dumps(call)) != expected:
            raise Differs(f"{call}\nwas\n{expected}")
        if isinstance(answer, dict):
            raise RuntimeError(answer["raises"])
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
    modules = {name: ModuleType(name) for name in ("vllm", "vllm.sampling_params", "vllm.platforms")}
    vars(modules["vllm"]).update(EngineArgs=arguments, LLMEngine=SimpleNamespace(from_engine_args=lambda _: player), player=player)
    vars(modules["vllm.sampling_params"]).update(SamplingParams=dict, StructuredOutputsParams=dict, RequestOutputKind=kinds)
    platform = SimpleNamespace(is_unspecified=lambda: False, is_cpu=lambda: True)
    vars(modules["vllm.platforms"]).update(current_platform=platform)
    return modules


@contextmanager
def recorded(heard: dict[str, Any], folder: Path) -> Iterator[list[Recorder]]:
    """Within it, engines that are loaded from `folder` are recorders, whose arguments and configuration go into `heard`."""
    from hanlin.engines.vllm_engine import import_vllm

    vllm, made = import_vllm(), list[Recorder]()

    def start(arguments: Any) -> Recorder:
        engine = vllm.LLMEngine.from_engine_args(arguments)
        for name in ("SamplingParams", "StructuredOutputsParams"):  # by now all of vLLM has been imported
            patch.setattr(vllm.sampling_params, name, remembering(getattr(vllm.sampling_params, name)))
        model, cache = engine.vllm_config.model_config, engine.vllm_config.cache_config
        heard["config"] = {
            "max_model_len": model.max_model_len, "vocab_size": model.get_vocab_size(), "num_gpu_blocks": cache.num_gpu_blocks,
            "block_size": cache.block_size,
        }  # fmt: skip
        made.append(Recorder(engine, []))
        return made[0]

    def arguments(**told: Any) -> Any:
        heard["arguments"] = engine_arguments(told, folder)
        return vllm.EngineArgs(**told)

    def remembering(kind: Any) -> Callable[..., Any]:
        def make(**told: Any) -> Any:
            value = kind(**told)
            _TOLD[id(value)] = (value, told)
            return value

        return make

    library = SimpleNamespace(EngineArgs=arguments, LLMEngine=SimpleNamespace(from_engine_args=start))
    with pytest.MonkeyPatch.context() as patch:
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


def output_to_json(output: Any) -> dict[str, Any]:
    """Of vLLM's `RequestOutput`, what the engine reads."""
    (written,) = output.outputs
    return {
        "id": output.request_id, "finished": output.finished, "cached": output.num_cached_tokens,
        "prompt": None if output.prompt_logprobs is None else [_chances(each) for each in output.prompt_logprobs],
        "tokens": list(written.token_ids), "reason": written.finish_reason,
        "chances": None if written.logprobs is None else [_chances(each) for each in written.logprobs],
    }  # fmt: skip


def output_of(told: Mapping[str, Any]) -> SimpleNamespace:
    """The other way."""
    written = SimpleNamespace(token_ids=told["tokens"], finish_reason=told["reason"], logprobs=_all_read(told["chances"]))
    return SimpleNamespace(
        request_id=told["id"], finished=told["finished"], num_cached_tokens=told["cached"], prompt_logprobs=_all_read(told["prompt"]),
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
    for name, module in modules.items():
        patch.setitem(sys.modules, name, module)
