"""What pages show of a check of a dataset: frozen values, as in `views.py`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RowText:
    """A stored row by its place, with the beginning of its text."""

    split: str
    row: int
    text: str


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two rows that are nearly the same."""

    likeness: float
    first: RowText
    second: RowText

    @property
    def is_leak(self) -> bool:
        """Whether they stand in two splits."""
        return self.first.split != self.second.split


@dataclass(frozen=True, slots=True)
class DoubtfulRow:
    """A row whose label is doubted; one of both labels may be empty, where a row has several or none. `words` have it, where words do."""

    row: RowText
    given: str
    seems: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class DoubtsView:
    """Doubted labels of `rows` rows, and how good the model is that doubts."""

    rows: int
    suspects: int
    right: float
    plain: float
    first: tuple[DoubtfulRow, ...]

    @property
    def is_hopeless(self) -> bool:
        """Whether the model guesses no better than by the most frequent label."""
        return self.right <= self.plain


@dataclass(frozen=True, slots=True)
class LengthBar:
    """Rows with so many tokens: `label` such as `≤ 40`, `height` in percent of the highest bar."""

    label: str
    rows: int
    height: float
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Share:
    """So many rows of a language, and their share of all."""

    name: str
    rows: int
    share: float


@dataclass(frozen=True, slots=True)
class LabelProfile:
    """Texts of one label: median and 95th percentile of characters, those that would be cut, languages."""

    label: str
    rows: int
    p50: int
    p95: int
    cut: int
    languages: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class CheckView:
    """What looking through a dataset version found."""

    rows: int
    likeness: float
    near_rows: int
    groups: int
    largest: int
    other_labels: int
    leaks: int
    leak_splits: tuple[tuple[str, int], ...]
    pairs: tuple[NearPair, ...]
    doubts: DoubtsView | None
    limit: int
    cut: int
    counted_by: str
    bars: tuple[LengthBar, ...]
    languages: tuple[Share, ...]
    labels: tuple[LabelProfile, ...]
