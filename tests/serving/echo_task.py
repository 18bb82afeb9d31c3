"""A task of a network that writes, for tests: words in, the words that were written out. `plugin.register` makes it known to a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hanlin.generation import FinishReason, Generated, GenerationSettings, Seen
from hanlin.tasks.base import TASKS, Limits, Parameter, Piece, TaskOptions, TaskRequest
from hanlin.tasks.checks import check_items
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.parameters import check_names, integer
from hanlin.tasks.sequences import from_arrays
from hanlin.tasks.shapes import ONE_OR_MORE, TEXT, Shape, each
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonObject, JsonValue, LongText


@dataclass(frozen=True, slots=True)
class EchoOptions(TaskOptions):
    """How the text is written."""

    settings: GenerationSettings = field(default_factory=GenerationSettings)
    stop: int = -1


_LENGTH = integer("max_new_tokens", "most tokens", low=1, high=5000, example=4)
_BEAMS = integer("num_beams", "targets side by side", low=1, high=8, example=2)


_STOP = integer("stop", "id that ends a target", low=0, high=1000, example=4)
_READS = integer("reads", "1: write nothing", low=0, high=1, example=1)


class EchoStream:
    """Tells ids as they come; from 100 on an id is held back until a smaller one follows."""

    def __init__(self, stop: int) -> None:
        self._stop = stop
        self._held: list[int] = []

    def push(self, ids: Sequence[int], seen: Sequence[Seen], finish: FinishReason | None) -> Piece:
        found = [*self._held, *ids]
        is_ended = self._stop in found
        if is_ended:
            found = found[: found.index(self._stop)]
        if found and found[-1] >= 100 and finish is None and not is_ended:
            self._held = found
            return Piece(None)
        self._held = []
        return Piece(list(found) if found else None, is_ended)


class Echo:
    """Answers with ids and the reason for the end."""

    name = "echo"
    shape = Shape(ONE_OR_MORE, each(TEXT))
    example: JsonObject = {"request": {"inputs": "w8 w9"}, "response": {"ids": [9, 8], "finish": "stop"}}  # noqa: RUF012
    parameters: tuple[Parameter[Any], ...] = (_LENGTH, _BEAMS, _STOP, _READS)
    is_row_by_row = True

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        check_names(parameters, self.parameters)
        texts, is_single = check_items(inputs, limits)
        settings = GenerationSettings(
            max_new_tokens=_LENGTH.read(parameters) or 100, num_beams=_BEAMS.read(parameters) or 1, reads=bool(_READS.read(parameters))
        )  # fmt: skip
        return TaskRequest(texts, is_single, EchoOptions(settings=settings, stop=_STOP.read(parameters) or -1))

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        assert isinstance(request.options, EchoOptions)
        planned = encoder.plan(request.texts, long_text)
        return Encoded(planned.rows, generation=[request.options.settings] * len(planned.rows))

    def streams(self, request: TaskRequest, encoded: Encoded) -> list[EchoStream]:
        assert isinstance(request.options, EchoOptions)
        return [EchoStream(request.options.stop) for _ in encoded.rows]

    def decode(
        self, outputs: Mapping[str, np.ndarray], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> list[Generated]:
        return from_arrays(outputs)

    def answer(self, rows: Sequence[Generated], request: TaskRequest) -> JsonValue:
        answers: list[JsonValue] = [{"ids": list(row.ids), "finish": row.finish} for row in rows]
        return answers[0] if request.is_single else answers


def register() -> None:
    """What the entry point of an outsider does when it is imported."""
    TASKS.register("echo")(Echo)  # type: ignore[arg-type]  # as much of a task as a worker needs
