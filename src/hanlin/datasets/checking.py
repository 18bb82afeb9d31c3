"""What a dataset's rows say about themselves before anybody trains on them: near-twins, leaks between splits, lengths, languages.

Reads the stored splits twice, piece by piece; knows nothing of models but how many tokens they make of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hanlin.datasets.near_twins import NearPair, NearTwinFinder, NearTwins
from hanlin.datasets.profile import Profile
from hanlin.datasets.shingles import Numbers, units_of
from hanlin.datasets.splits import SPLITS
from hanlin.datasets.store import Split, open_split
from hanlin.tasks.labelled import Gold, read_gold
from hanlin.types import JsonObject, JsonValue

MAX_LISTED = 50
EXCERPT = 120  # characters of a text that are shown
UNITS = "units"  # how tokens are counted where no model is named: characters of Chinese, words of others
Told = Callable[[int, int], None]  # rows done, rows in all; raising out of it stops


class Row(NamedTuple):
    """One stored row: split, number in it (from 1, in stored order), text and annotation."""

    split: str
    number: int
    text: str
    annotation: str

    def to_json(self) -> JsonObject:
        """The stored form: the beginning of the text stands for it."""
        return {"split": self.split, "row": self.number, "text": _begin(self.text), "answer": _begin(self.annotation)}


@dataclass(frozen=True, slots=True)
class Found:
    """What reading found. Rows are numbered through all splits, train first.

    Attributes:
        profile: lengths and languages, as `Profile.to_json` has them.
        twins: near-twins among texts that are not the same.
        edges: number of the first row of each split, and of all rows.
        golds: what the annotations say, of a classification; empty else.
    """

    profile: JsonObject
    twins: NearTwins
    edges: Numbers
    golds: list[Gold]

    @property
    def rows(self) -> int:
        """Rows in all."""
        return int(self.edges[-1])

    def splits_of(self, rows: Numbers) -> Numbers:
        """Position in `SPLITS` of each row."""
        return np.searchsorted(self.edges[1:-1], rows, side="right")


def read_rows(folder: Path) -> Iterator[tuple[str, Split]]:
    """The stored rows, a piece of a split at a time. Raises DataCorrupt."""
    for split in SPLITS:
        for piece in open_split(folder, split):
            yield split, piece


def look_through(
    folder: Path, work: Path, *, rows: int, is_classified: bool, likeness: float, limit: int, counted_by: str = UNITS,
    count: Callable[[Sequence[str]], Sequence[int]] | None = None, told: Told = lambda done, total: None,
) -> Found:  # fmt: skip
    """One reading of a stored dataset.

    Args:
        work: an empty folder for temporary files, about 250 bytes a short row.
        rows: in all, for `told`.
        likeness: from which on two texts are near-twins, 0 to 1.
        limit, counted_by: see `Profile`.
        count: tokens of each text; None counts units.
    """
    finder, profile = NearTwinFinder(work, likeness=likeness), Profile(limit=limit, counted_by=counted_by)
    sizes, golds, done = dict.fromkeys(SPLITS, 0), list[Gold](), 0
    for split, piece in read_rows(folder):
        found = [read_gold(annotation) for annotation in piece.labels] if is_classified else []
        whole = (
            [f"{text}\n{gold.pair}" if gold.pair else text for text, gold in zip(piece.texts, found, strict=True)] if found else piece.texts
        )
        finder.add(whole)
        for place, (text, tokens) in enumerate(zip(piece.texts, (count or _units)(piece.texts), strict=True)):
            profile.add(text, tokens, found[place].labels if found else ())
        golds += [gold._replace(pair="") for gold in found]  # of pairs the texts are read again
        sizes[split] += len(piece)
        done += len(piece)
        told(done, rows)
    edges = np.concatenate([[0], np.cumsum([sizes[split] for split in SPLITS])]).astype(np.int64)
    return Found(profile.to_json(), finder.find(), edges, golds)


def twins_report(found: Found, rows: dict[int, Row]) -> JsonObject:
    """Near-twins and leaks as they are stored; `rows` holds those of `shown_pairs`."""
    twins = found.twins
    one, other = found.splits_of(twins.first), found.splits_of(twins.second)
    leaking = np.unique(twins.second[one < other])
    by_split = np.bincount(found.splits_of(leaking), minlength=len(SPLITS)).tolist()
    labels = _labels_differ(found)
    return {
        "rows": twins.rows, "groups": twins.groups, "largest_group": twins.largest, "other_labels": int(labels.sum()),
        "leaks": {"total": len(leaking), **dict(zip(SPLITS[1:], by_split[1:], strict=True))},
        "pairs": [_pair(pair, rows) for pair in shown_pairs(found)],
    }  # fmt: skip


def shown_pairs(found: Found) -> list[NearPair]:
    """Pairs worth looking at: those across splits first, then those whose labels differ, then the rest, the likest of each first."""
    twins = found.twins
    across = found.splits_of(twins.first) != found.splits_of(twins.second)
    differ = _labels_differ(found) & ~across
    pairs: list[NearPair] = []
    for chosen in (across, differ, ~across & ~differ):
        pairs += twins.likest(MAX_LISTED - len(pairs), chosen)
    return pairs


def fetch_rows(folder: Path, edges: Numbers, wanted: Sequence[int]) -> dict[int, Row]:
    """The rows with these numbers. Raises DataCorrupt."""
    found: dict[int, Row] = {}
    numbers, done, begins = sorted(set(wanted)), 0, dict(zip(SPLITS, edges.tolist(), strict=False))
    for split, piece in read_rows(folder):
        while numbers and numbers[0] < done + len(piece):
            number = numbers.pop(0)
            place = number - done
            found[number] = Row(split, number - begins[split] + 1, piece.texts[place], piece.labels[place])
        done += len(piece)
    return found


def _labels_differ(found: Found) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    pairs = zip(found.twins.first.tolist(), found.twins.second.tolist(), strict=True)
    if not found.golds:
        return np.zeros(len(found.twins.first), dtype=bool)
    return np.array([found.golds[one].labels != found.golds[other].labels for one, other in pairs], dtype=bool)


def _pair(pair: NearPair, rows: dict[int, Row]) -> JsonValue:
    return {"likeness": round(pair.likeness, 3), "first": rows[pair.first].to_json(), "second": rows[pair.second].to_json()}


def _begin(text: str) -> str:
    return " ".join(text[: EXCERPT + 1].split())[:EXCERPT] + ("…" if len(text) > EXCERPT else "")


def _units(texts: Sequence[str]) -> Sequence[int]:
    _, owners, _ = units_of(texts)
    counts: list[int] = np.bincount(owners, minlength=len(texts)).tolist()
    return counts
