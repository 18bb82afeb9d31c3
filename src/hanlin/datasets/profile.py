"""How long the texts of a dataset are and what they are written in, in whole and for each label. Knows no splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hanlin.datasets.language import language_of
from hanlin.types import JsonObject, JsonValue

PERCENTILES = (5, 50, 95, 99)
EDGES = (
    5,
    10,
    15,
    20,
    30,
    40,
    60,
    80,
    120,
    160,
    240,
    320,
    480,
    640,
    960,
    1280,
    1920,
    2560,
    5120,
    10_240,
)  # a bar holds those up to its edge
MAX_LANGUAGES = 10
MAX_LABELS = 40


@dataclass(slots=True)
class _Part:
    """What is counted of all rows, or of those of one label."""

    rows: int = 0
    characters: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    languages: Counter[str] = field(default_factory=Counter)

    def add(self, characters: int, tokens: int, language: str) -> None:
        self.rows += 1
        self.characters.append(characters)
        self.tokens.append(tokens)
        self.languages[language] += 1


class Profile:
    """Counts rows one after the other; 16 bytes a row and label.

    Args:
        limit: tokens beyond which a model would cut.
        counted_by: what the tokens are: a model version, or `units`.
    """

    def __init__(self, *, limit: int, counted_by: str) -> None:
        self._limit, self._counted_by = limit, counted_by
        self._all, self._labels = _Part(), dict[str, _Part]()

    def add(self, text: str, tokens: int, labels: Sequence[str]) -> None:
        """One row."""
        language, size = language_of(text), len(text)
        for part in (self._all, *(self._labels.setdefault(label, _Part()) for label in labels)):
            part.add(size, tokens, language)

    def to_json(self) -> JsonObject:
        """The stored form."""
        whole = self._all
        labels = sorted(self._labels.items(), key=lambda item: (-item[1].rows, item[0]))[:MAX_LABELS]
        found: list[JsonValue] = [
            {
                "label": label,
                "rows": part.rows,
                "characters": _percentiles(part.characters),
                "cut": self._cut(part),
                "languages": _languages(part),
            }
            for label, part in labels
        ]
        return {
            "characters": {**_percentiles(whole.characters), "bars": _bars(whole.characters)},
            "tokens": {
                **_percentiles(whole.tokens), "bars": _bars(whole.tokens), "by": self._counted_by, "limit": self._limit,
                "cut": self._cut(whole),
            },
            "languages": _languages(whole),
            "labels": found,
        }  # fmt: skip

    def _cut(self, part: _Part) -> int:
        return sum(size > self._limit for size in part.tokens)


def _percentiles(sizes: Sequence[int]) -> JsonObject:
    if not sizes:
        return {}
    found = np.percentile(np.array(sizes), PERCENTILES, method="inverted_cdf").tolist()
    return {**{f"p{share}": int(size) for share, size in zip(PERCENTILES, found, strict=True)}, "max": max(sizes)}


def _bars(sizes: Sequence[int]) -> list[JsonValue]:
    """Rows up to each edge, and the rest; empty ends are left out."""
    counts = np.bincount(np.searchsorted(EDGES, np.array(sizes, dtype=np.int64)), minlength=len(EDGES) + 1).tolist()
    bars = list(zip((*EDGES, 0), counts, strict=True))
    filled = [place for place, (_, count) in enumerate(bars) if count]
    return [{"up_to": edge, "rows": count} for edge, count in bars[filled[0] : filled[-1] + 1]] if filled else []


def _languages(part: _Part) -> list[JsonValue]:
    ranked = sorted(part.languages.items(), key=lambda item: (-item[1], item[0]))
    return [{"language": language, "rows": rows} for language, rows in ranked[:MAX_LANGUAGES]]
