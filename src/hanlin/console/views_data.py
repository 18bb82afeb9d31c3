"""What pages show of datasets: frozen values, as in `views.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from hanlin.console.views import VersionView
from hanlin.console.views_check import CheckView
from hanlin.messages.said import Said

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class LabelRows:
    """Rows of one label in each of `SPLITS`."""

    label: str
    rows: tuple[int, int, int]

    @property
    def total(self) -> int:
        """Rows in all splits."""
        return sum(self.rows)


@dataclass(frozen=True, slots=True)
class Place:
    """A row of a file, as people count; `twin` is the same of the row it doubles, `problem` says in a language what is wrong with it."""

    file: str
    line: int
    split: str = ""
    twin: Place | None = None
    problem: tuple[tuple[str, str], ...] = ()

    def problem_in(self, language: str) -> str:
        """What is wrong, in `language`; empty when the place says it all."""
        return dict(self.problem).get(language, "")


@dataclass(frozen=True, slots=True)
class Found:
    """One kind of trouble that reading met: how often, and where first."""

    kind: str
    total: int
    places: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetVersionView:
    """An immutable snapshot and what reading it found; None where that was not stored.

    Attributes:
        splits: rows of each split, in the order of `SPLITS`; empty when unknown.
        labels: most rows first.
        lengths: percentiles of characters a text, such as `("p50", 31)`.
        found: what was wrong, in the order of the report; kinds without a case are left out.
        conflict_rows: rows dropped because their text had several labels.
        facts: format, encoding, language and the like, as (name, value).
        trained: versions that were trained on it, newest first.
        check: what looking through it found, where anybody has.
    """

    name: str
    number: int
    task: str
    digest: str
    created_at: datetime
    rows_kept: int | None = None
    rows_read: int | None = None
    splits: tuple[int, ...] = ()
    labels: tuple[LabelRows, ...] = ()
    lengths: tuple[tuple[str, int], ...] = ()
    found: tuple[Found, ...] = ()
    conflict_rows: int = 0
    moved: int = 0
    facts: tuple[tuple[str, str], ...] = ()
    warnings: tuple[Said, ...] = ()
    trained: tuple[VersionView, ...] = ()
    check: CheckView | None = None


@dataclass(frozen=True, slots=True)
class DatasetView:
    """A dataset with its versions, newest first."""

    name: str
    task: str
    versions: tuple[DatasetVersionView, ...] = ()

    @property
    def newest(self) -> DatasetVersionView | None:
        """The version with the highest number."""
        return self.versions[0] if self.versions else None


@dataclass(frozen=True, slots=True)
class DownloadView:
    """A file to fetch: its name, its size, and a reader that somebody must close."""

    name: str
    size_bytes: int
    stream: BinaryIO
