"""What ingesting found: the report that is stored with a dataset version and shown to people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from hanlin.datasets.splits import SPLITS
from hanlin.datasets.values import PROBLEMS
from hanlin.messages.said import Said
from hanlin.tasks.few_rows import few_test_rows, few_validation_rows, stored
from hanlin.types import JsonObject, JsonValue

MAX_LISTED = 10
T = TypeVar("T")


class Place(NamedTuple):
    """Where a row came from: file name and line (row number in Parquet), both as people count."""

    file: str
    line: int

    def to_json(self) -> JsonObject:
        """The stored form."""
        return {"file": self.file, "line": self.line}


@dataclass(frozen=True, slots=True)
class BadRowReport:
    """One unusable row; `problem` is a key of `PROBLEMS`."""

    place: Place
    problem: str

    def to_json(self) -> JsonObject:
        """The stored form, with the problem in both languages."""
        english, chinese = PROBLEMS[self.problem]
        return {**self.place.to_json(), "problem": english, "problem_zh": chinese, "code": self.problem}


@dataclass(frozen=True, slots=True)
class Twin:
    """A row whose folded text also stands, in another split, at `twin`."""

    place: Place
    split: str
    twin: Place
    twin_split: str

    def to_json(self) -> JsonObject:
        """The stored form."""
        return {**self.place.to_json(), "split": self.split, "twin": self.twin.to_json(), "twin_split": self.twin_split}


@dataclass(frozen=True, slots=True)
class Counted(Generic[T]):
    """How many there are, and the first of them."""

    total: int
    first: tuple[T, ...]


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """Everything that ingesting found.

    `rows_read = rows_kept + bad rows + duplicates + conflict_rows`.

    Args:
        rows: those kept, for each split.
        duplicates: rows dropped because text and label stood there before.
        conflicts: texts that had more than one label; all their rows (`conflict_rows`) are dropped.
        leaks: rows of validation or test whose folded twin stands in an earlier split; they stay, unless moved.
        moved: rows put into another split than their own hash says, so that twins stay together (`leaks="move"`).
        labels: rows a split, for each label.
        lengths: percentiles of characters a text: `p5`, `p50`, `p95`, `p99`, `max`.
        columns: header of the text and the label column.
        digest: SHA-256 over all rows in order; the same for the same rows from any file format or encoding.
        unpaired: a warning, where rows without a second text stand among rows that have one; they stay.
    """

    task: str
    format: str
    encoding: str
    columns: tuple[tuple[str, str], ...]
    rows_read: int
    rows_kept: int
    rows: tuple[int, int, int]
    bad_rows: Counted[BadRowReport]
    duplicates: int
    conflicts: Counted[Place]
    conflict_rows: int
    leaks: Counted[Twin]
    moved: int
    labels: tuple[tuple[str, tuple[int, int, int]], ...]
    lengths: tuple[tuple[str, int], ...]
    split: str
    language: str
    digest: str
    unpaired: Said | None = None

    def to_json(self) -> JsonObject:
        """The stored form."""
        labels: JsonObject = {label: dict(zip(SPLITS, counts, strict=True)) for label, counts in self.labels}
        rows: JsonObject = dict(zip(SPLITS, self.rows, strict=True))
        return {
            "task": self.task,
            "format": self.format,
            "encoding": self.encoding,
            "columns": dict(self.columns),
            "rows_read": self.rows_read,
            "rows_kept": self.rows_kept,
            "rows": rows,
            "bad_rows": _counted(self.bad_rows.total, [item.to_json() for item in self.bad_rows.first]),
            "duplicates": self.duplicates,
            "conflicts": _counted(self.conflicts.total, [item.to_json() for item in self.conflicts.first]),
            "conflict_rows": self.conflict_rows,
            "leaks": _counted(self.leaks.total, [item.to_json() for item in self.leaks.first]),
            "moved": self.moved,
            "labels": labels,
            "lengths": dict(self.lengths),
            "split": self.split,
            "language": self.language,
            "digest": self.digest,
            "warnings": stored(self.unpaired, few_validation_rows(self.rows[1]), few_test_rows(self.rows[2])),
        }


def _counted(total: int, first: list[JsonObject]) -> JsonObject:
    listed: list[JsonValue] = list(first)
    return {"total": total, "first": listed}
