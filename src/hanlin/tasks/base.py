"""What a task is: its columns, its wire checks, its decoding and its metrics. Knows no task in particular."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from hanlin.plugins import PluginRegistry
from hanlin.tasks.metrics import Metrics
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.windows import Window
from hanlin.types import JsonObject, JsonValue, LongText

Row = Mapping[str, npt.NDArray[np.floating]]  # what the engine said about one row, by output, without the batch's dimension


@dataclass(frozen=True, slots=True)
class Column:
    """A column that the examples of a task have.

    Args:
        name: name in stored datasets.
        kind: what the values are.
        aliases: headers that mean this column, lower case; `name` itself always does.
    """

    name: str
    kind: Literal["text", "label"]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request. `max_text_bytes` counts UTF-8."""

    max_items: int = 256
    max_text_bytes: int = 2**20


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """What every task that reads text lets a caller choose; a task adds its own by subclassing.

    Args:
        long_text: what becomes of a text that is longer than the model takes; None leaves it to the endpoint.
    """

    long_text: LongText | None = None


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A request that passed all checks that need no model."""

    texts: tuple[str, ...]
    is_single: bool
    options: TaskOptions


@dataclass(frozen=True, slots=True)
class Scored:
    """One label of one text with its score in 0..1 (any real number when no function is applied)."""

    label: str
    score: float

    def to_json(self) -> JsonObject:
        """The wire form."""
        return {"label": self.label, "score": self.score}


class Task(Protocol):
    """One kind of language problem. Implementations hold no state and are safe on any thread."""

    name: str
    main_metric: str
    columns: tuple[Column, ...]
    example: JsonObject  # {"request": {...}, "response": ...}

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """The request in checked form.

        Raises:
            InvalidInput: wrong types, unknown or out-of-range parameters, empty, oversized or broken texts. Never another error.
        """
        ...

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """One row of outputs for a long text out of the `rows` of its windows, two or more, in order."""
        ...

    def decode(self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions) -> list[list[Scored]]:
        """Results per row, best first, of `outputs["logits"]` `(rows, labels)`.

        Raises:
            EngineFailed: `model_output_invalid` when a value is NaN or infinite or the shape is not the spec's.
        """
        ...

    def answer(self, rows: Sequence[Sequence[Scored]], request: TaskRequest) -> JsonValue:
        """The wire form of the decoded rows of `request`."""
        ...

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[np.integer], labels: Sequence[str]) -> Metrics:
        """Quality of `probabilities` `(rows, labels)` against label indices `gold` `(rows,)`."""
        ...


TASKS: PluginRegistry[Task] = PluginRegistry("task", package="hanlin.tasks", group="hanlin.tasks")
