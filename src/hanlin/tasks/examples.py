"""What the examples of a task are: the columns they are read from, the form they are stored in. Knows no files.

Every stored example is a text and an annotation. Of a classification the annotation is the label; of every other task it is JSON in
canonical form, so that equal answers are equal strings.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from hanlin.errors import InvalidInput
from hanlin.tasks.labels import normalize_label
from hanlin.tasks.text import is_blank
from hanlin.types import JsonValue, shorten

_MAX_SCORE = 3.4028234663852886e38  # the largest float32
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
MAX_TEXT_BYTES = 2**20  # a longer text could not be sent to an endpoint either


@dataclass(frozen=True, slots=True)
class Column:
    """A column that the examples of a task have.

    Args:
        name: name in stored datasets.
        kind: what the values are; `json` stands for lists and objects, which tables hold as JSON text.
        aliases: headers that mean this column, lower case; `name` itself always does.
        is_optional: whether a file may lack it.
        stand_in: another column in whose presence a file may lack this one.
    """

    name: str
    kind: Literal["text", "label", "json", "number"]
    aliases: tuple[str, ...] = ()
    is_optional: bool = False
    stand_in: str = ""


class Example(NamedTuple):
    """One checked example.

    Args:
        text: what the model is asked about, exactly as it came.
        annotation: the right answer: a label, or JSON from `canonical`.
        labels: the names that are counted in reports: classes, entity types, intents.
        identity: what makes two examples the same question; empty: `text`.
        group: what must not stand in two splits, such as a page or a template; empty: the identity.
    """

    text: str
    annotation: str
    labels: tuple[str, ...] = ()
    identity: str = ""
    group: str = ""


class BadExample(Exception):
    """The fields make no example; `problem` is a code that reports put in words."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class ExampleForm(Protocol):
    """How examples of one task are read and asked. Implementations hold no state.

    Attributes:
        columns: what files have, in the order in which options name them.
        formats: names of file formats beyond tables and JSON that are read for this task.
        is_classified: whether each example has one label out of a closed set: every label then needs rows of its own.
        has_answers: whether the examples say what is right; texts alone do not, unless a task hides what it asks for.
    """

    @property
    def columns(self) -> tuple[Column, ...]:
        """See the class."""
        ...

    @property
    def formats(self) -> tuple[str, ...]:
        """See the class."""
        ...

    @property
    def is_classified(self) -> bool:
        """See the class."""
        ...

    @property
    def has_answers(self) -> bool:
        """See the class."""
        ...

    def read(self, fields: Mapping[str, object]) -> Example:
        """The example that `fields`, by column name, make; columns that the file lacks are not there. Raises BadExample."""
        ...

    def question(self, text: str, annotation: str) -> JsonValue:
        """What a caller would send as one of a call's inputs to be asked this stored example."""
        ...


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """One text and one label a row: what every classification of whole texts reads."""

    columns: tuple[Column, ...]
    formats: tuple[str, ...] = ()
    is_classified: bool = True
    has_answers: bool = True

    def read(self, fields: Mapping[str, object]) -> Example:
        """See `ExampleForm.read`."""
        text = check_text(fields.get("text"))
        label = check_label(fields.get("label"))
        return Example(text, label, (label,))

    def question(self, text: str, annotation: str) -> JsonValue:
        """See `ExampleForm.question`: the text alone."""
        return text


@dataclass(frozen=True, slots=True)
class PlainTexts:
    """Texts without an annotation: raw text, or the inputs of a task that has no training of its own yet."""

    columns: tuple[Column, ...]
    formats: tuple[str, ...] = ()
    is_classified: bool = False
    has_answers: bool = False

    def read(self, fields: Mapping[str, object]) -> Example:
        """See `ExampleForm.read`."""
        return Example(check_text(fields.get(self.columns[0].name)), "")

    def question(self, text: str, annotation: str) -> JsonValue:
        """See `ExampleForm.question`: the text alone."""
        return text


def canonical(value: JsonValue) -> str:
    """JSON with sorted keys, without spaces, in its own letters. Raises ValueError for NaN and infinity."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def check_text(value: object) -> str:
    """A text with something in it, to the last space as it came. Raises BadExample."""
    if not isinstance(value, str):
        raise BadExample("text_missing" if value is None else "text_type")
    if len(value) > MAX_TEXT_BYTES:
        raise BadExample("text_too_long")
    try:
        if len(value.encode("utf-8")) > MAX_TEXT_BYTES:
            raise BadExample("text_too_long")
    except UnicodeEncodeError as error:
        raise BadExample("text_unicode") from error
    if is_blank(value):
        raise BadExample("text_empty")
    return value


def check_label(value: object) -> str:
    """A label, stripped and in NFC. Raises BadExample."""
    label = label_text(value)
    if label is None or not label.strip():
        raise BadExample("label_missing" if value is None or label is not None else "label")
    found = _clean_label(label) if len(label) < 1000 else None
    if found is None:
        raise BadExample("label")
    return found


def check_score(value: object) -> float:
    """A number that float32 can hold; a string must be a plain decimal number in ASCII digits. Raises BadExample (`score`)."""
    if isinstance(value, str):
        value = value.strip()
    if isinstance(value, bool | bytes | bytearray) or (isinstance(value, str) and not _DECIMAL.fullmatch(value)):
        raise BadExample("score")
    try:
        found = float(value)  # type: ignore[arg-type]  # what is none raises
    except (TypeError, ValueError, OverflowError) as error:
        raise BadExample("score") from error
    if not abs(found) <= _MAX_SCORE:
        raise BadExample("score")
    return found


def read_json_field(value: object) -> object:
    """A list or object as it is, or as JSON text from a table's cell. Raises BadExample (`json_field`)."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise BadExample("json_field") from error


def label_text(value: object) -> str | None:
    """A label as a string: strings as they are, whole numbers and booleans in words; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # a column of integers with gaps comes as floats
    return None


@functools.lru_cache(maxsize=65_536)
def _clean_label(label: str) -> str | None:
    try:
        return normalize_label(label)
    except InvalidInput:
        return None


def label_positions(gold: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Where each gold label stands among the model's. Raises InvalidInput (`foreign_label`)."""
    places = {label: place for place, label in enumerate(labels)}
    for label in gold:
        if label not in places:
            raise InvalidInput("foreign_label", label=shorten(label))
    return [places[label] for label in gold]
