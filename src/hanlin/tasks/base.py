"""What a task is: its examples, its wire checks, its decoding and its metrics. Knows no task in particular."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from hanlin.generation import FinishReason, Seen
from hanlin.plugins import PluginRegistry
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import ExampleForm
from hanlin.tasks.likeness import Likeness, Numbers
from hanlin.tasks.names import canonical
from hanlin.tasks.shapes import Shape
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.token_ids import Item
from hanlin.tasks.windows import Window
from hanlin.types import JsonObject, JsonValue, LongText

if TYPE_CHECKING:
    from hanlin.tasks.explaining import Explaining

Value = TypeVar("Value")
Row = Mapping[str, npt.NDArray[np.floating]]  # what the engine said about one row, by output, without the batch's dimension


@dataclass(frozen=True, slots=True)
class Parameter(Generic[Value]):
    """One parameter of a call.

    Args:
        schema: JSON schema with `description`, `default` (null: nothing is sent) and an example.
        read: its checked value among the parameters of a call; raises InvalidInput (`invalid_parameter`).
    """

    name: str
    schema: JsonObject
    read: Callable[[JsonObject], Value]


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
    """A request that passed all checks that need no model. An item is a text, or its token ids where the task takes those."""

    texts: tuple[Item, ...]
    is_single: bool
    options: TaskOptions


@dataclass(frozen=True, slots=True)
class Scored:
    """One label of one text with its score in 0..1 (any real number when no function is applied).

    Args:
        passes: whether it reaches its label's threshold, where several labels may apply.
        value: the place of the whole text on the scale of the labels, where they have one.
    """

    label: str
    score: float
    passes: bool | None = None
    value: float | None = None

    def to_json(self) -> JsonObject:
        """The wire form."""
        found: JsonObject = {"label": self.label, "score": self.score}
        if self.passes is not None:
            found["passes"] = self.passes
        if self.value is not None:
            found["value"] = self.value
        return found


# What an imported network must have: labels a text, a vector a text, labels a token, one number a pair of texts, labels a token around a
# predicate that is told apart, a token for one that is hidden; or it writes: the target of a source, or on from the row itself.
HeadKind = Literal["labels", "vectors", "tokens", "pairs", "roles", "masks", "targets", "continuations"]
WRITING_HEADS: frozenset[HeadKind] = frozenset({"targets", "continuations"})


class Quality(Protocol):
    """Figures of a model on a split."""

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the main metric."""
        ...

    def get(self, name: str) -> float:
        """One single-number metric by name. Raises KeyError."""
        ...

    def to_json(self) -> JsonObject:
        """The stored form."""
        ...


class Task(Protocol):
    """One kind of language problem. Implementations hold no state and are safe on any thread."""

    name: str
    main_metric: str
    figures: tuple[str, ...]  # numbers of its `Quality` that a training may watch, greater is better
    examples: ExampleForm  # how datasets for it are read
    shape: Shape
    example: JsonObject  # {"request": {...}, "response": ...}
    parameters: tuple[Parameter[Any], ...]  # what `check` takes; documents and command lines are made of it
    head: HeadKind
    likeness: Likeness
    explaining: Explaining  # of networks of this task's own; see `explaining_of`
    is_row_by_row: bool  # `decode` gives each row's result from that row alone and needs no `encoded`: rows of several calls go together

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """The request in checked form.

        Raises:
            InvalidInput: wrong types, unknown or out-of-range parameters, empty, oversized or broken texts. Never another error.
        """
        ...

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """The rows to compute for `request`.

        Args:
            long_text: the endpoint's policy; the request's own goes first.
            max_windows: of all long texts together.

        Raises:
            InvalidInput: as the encoder, naming the item; `invalid_parameter` for what this version cannot do.
        """
        ...

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """One row of outputs for a long text out of the `rows` of its windows, two or more, in order."""
        ...

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> Any:
        """Results of the outputs of all rows, for `answer`.

        Args:
            outputs: the engine's array, see `Session.run`; where tokens have outputs, rows are cut or padded to the longest row.
            encoded: the rows themselves; tasks whose answers point into the text need it.

        Raises:
            EngineFailed: `model_output_invalid` when a value is NaN or infinite or the shape is not the spec's.
        """
        ...

    def answer(self, rows: Any, request: TaskRequest) -> Any:
        """The wire form of the decoded rows of `request`: JSON values, or `msgspec.Raw` of JSON text."""
        ...

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[Any], labels: Sequence[str]) -> Quality:
        """Quality of what was answered against what is right, in the arrays that the task documents.

        For labels: probabilities `(rows, labels)` against label indices `(rows,)`.
        """
        ...

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """Inputs and parameters of a call that says all the model thinks of each question, however long: what certificates send.

        Args:
            questions: as `ExampleForm.question` gives them, or plain texts.
        """
        ...

    def read(self, answer: JsonValue, spec: ModelSpec) -> list[Numbers]:
        """The answer to such a call in comparable numbers: an array `(rows, values)` for each question, in their order."""
        ...

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """Inputs and parameters of a call with this one question, whose answer `quality` can judge."""
        ...

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> Quality:
        """Quality of the answers to such calls against the annotations of the examples that were asked about.

        Args:
            answers: in their wire form, one a call.
            gold: the annotations, in the same order.
            labels: the model's.

        Raises:
            InvalidInput: `foreign_label` for an annotation that the model cannot give.
        """
        ...


@dataclass(frozen=True, slots=True)
class Exam:
    """The calls that examine a model on a whole split, and what their answers, one a call, are worth."""

    calls: Sequence[tuple[JsonValue, JsonObject]]
    judge: Callable[[Sequence[JsonValue]], Quality]


@runtime_checkable
class SetsExams(Protocol):
    """A task whose examples cannot be judged one by one: a search is good or bad among all texts of a split."""

    def exam(self, questions: Sequence[JsonValue], spec: ModelSpec) -> Exam:
        """The exam on these questions. Raises InvalidInput (`not_judged`) where they have no answers."""
        ...


@runtime_checkable
class JudgesSearch(Protocol):
    """A task that also answers out of many texts: how well the right one is found says as much as how it is read."""

    def search_quality(self, texts: Sequence[str], gold: Sequence[str]) -> Mapping[str, float]:
        """Figures of the search among the texts of a split, whatever the model; may be none."""
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """What may be told of a row now.

    Args:
        value: JSON of what is new; None: nothing yet, such as half a character, or what may be the beginning of a stop word.
        is_ended: a stop word was met: the row is to be dropped, and has ended by `stop`.
    """

    value: JsonValue | None
    is_ended: bool = False


class RowStream(Protocol):
    """From the tokens of one row, as they are written, to what a caller is told. Belongs to one call."""

    def push(self, ids: Sequence[int], seen: Sequence[Seen], finish: FinishReason | None) -> Piece:
        """What the further tokens of the row make tellable.

        Args:
            ids: without the one that ends the row; may be none.
            seen: of each of `ids`, where the row tells chances; else none.
            finish: why the row ends: what was held back is told now. None: it goes on. Nothing is pushed after an end.
        """
        ...


@runtime_checkable
class StreamingTask(Protocol):
    """A task that can tell answers in parts."""

    def streams(self, request: TaskRequest, encoded: Encoded) -> Sequence[RowStream]:
        """One for each row of `encoded`. Also of calls that are not streamed: they end at stop words, too."""
        ...


TASKS: PluginRegistry[Task] = PluginRegistry("task", package="hanlin.tasks", group="hanlin.tasks", rename=canonical)


def encode_texts(request: TaskRequest, encoder: TextEncoder, *, long_text: LongText, max_windows: int | None) -> Encoded:
    """One row a text, or one a window: all that most tasks need."""
    return encoder.plan(request.texts, request.options.long_text or long_text, max_windows=max_windows)
