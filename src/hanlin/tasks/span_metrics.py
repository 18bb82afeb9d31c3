"""Quality of a tagger by entities: precision, recall and F1 of whole spans, as seqeval counts them in its default mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from operator import eq
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hanlin.tasks.entities import split_label
from hanlin.tasks.few_rows import few_test_rows, stored
from hanlin.tasks.metrics import RESAMPLES, TAIL, ClassScore
from hanlin.tasks.useless import nothing_found_right
from hanlin.types import JsonObject, JsonValue

NOT_JUDGED, ROW_END = -1, -2  # gold of a later piece of a word, and of what stands between rows (special tokens)
OUTSIDE = "O"
Span = tuple[str, int, int]  # name, first token (or character), the one after the last


@dataclass(frozen=True, slots=True)
class SpanMetrics:
    """Quality over `rows` rows; everything in 0..1.

    Args:
        precision, recall, f1: of all entities together (micro).
        accuracy: share of judged tokens with the right label.
        interval: 95 % interval of F1, from 1,000 resamples of the rows.
        per_class: by entity name.
    """

    rows: int
    precision: float
    recall: float
    f1: float
    macro_f1: float
    accuracy: float
    interval: tuple[float, float]
    per_class: tuple[ClassScore, ...]

    def get(self, name: str) -> float:
        """One single-number metric by name. Raises KeyError."""
        return {
            "precision": self.precision, "recall": self.recall, "f1": self.f1, "macro_f1": self.macro_f1, "accuracy": self.accuracy,
        }[name]  # fmt: skip

    def to_json(self) -> JsonObject:
        """The stored form."""
        per_class: list[JsonValue] = [
            {"label": item.label, "precision": item.precision, "recall": item.recall, "f1": item.f1, "support": item.support}
            for item in self.per_class
        ]
        return {
            "rows": self.rows, "precision": self.precision, "recall": self.recall, "f1": self.f1, "macro_f1": self.macro_f1,
            "accuracy": self.accuracy, "interval": list(self.interval), "per_class": per_class,
            "warnings": stored(few_test_rows(self.rows), nothing_found_right(self.f1, sum(item.support for item in self.per_class))),
        }  # fmt: skip


class SpanRow(NamedTuple):
    """One row: the spans that were found and the true ones, and how many of its tokens got the right label."""

    found: Set[tuple[Any, ...]]  # each begins with its name
    true: Set[tuple[Any, ...]]
    num_right: int
    num_tokens: int


def span_metrics(predicted: npt.NDArray[np.integer], gold: npt.NDArray[np.integer], labels: Sequence[str]) -> SpanMetrics:
    """Metrics of label indices `(tokens,)` against gold ones, in which `NOT_JUDGED` and `ROW_END` are no labels."""
    return metrics_of(
        SpanRow(spans(found), spans(true), sum(map(eq, found, true)), len(true)) for found, true in _rows(predicted, gold, labels)
    )


def metrics_of(found: Iterable[SpanRow]) -> SpanMetrics:
    """Metrics of rows, at least one."""
    rows = list(found)
    assert rows, "metrics of no rows mean nothing"
    counts = [_counts(row.found, row.true) for row in rows]  # each {name: (right, found, true)}
    names = sorted({name for row in counts for name in row})
    table = np.array([[row.get(name, (0, 0, 0)) for name in names] for row in counts]).reshape(len(rows), len(names), 3)
    total = table.sum(axis=0)  # (names, 3)
    classes = tuple(ClassScore(name, *_scores(*total[place]), support=int(total[place, 2])) for place, name in enumerate(names))
    precision, recall, f1 = _scores(*total.sum(axis=0))
    accuracy = sum(row.num_right for row in rows) / max(1, sum(row.num_tokens for row in rows))
    macro = float(np.mean([item.f1 for item in classes])) if classes else 0.0
    return SpanMetrics(len(rows), precision, recall, f1, macro, accuracy, _interval(table.sum(axis=1)), classes)


def spans(tags: Sequence[str]) -> set[Span]:
    """The entities of one row of tags.

    Source: seqeval, `get_entities` (conlleval's rules): an entity also begins where the name changes or after one has ended, and
    B, S and U always begin one; E, L, S and U end theirs.
    """
    found: set[Span] = set()
    name, begin, is_ended = "", 0, True
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, here = ("O", "") if tag == OUTSIDE else split_label(tag)
        if name and (here != name or prefix in "BSU" or is_ended):
            found.add((name, begin, place))
            name = ""
        if here and not name:
            name, begin = here, place
        is_ended = prefix in "ESLU"
    return found


def _rows(predicted: npt.NDArray[np.integer], gold: npt.NDArray[np.integer], labels: Sequence[str]) -> list[tuple[list[str], list[str]]]:
    rows: list[tuple[list[str], list[str]]] = []
    is_open = False
    for found, true in zip(predicted.tolist(), gold.tolist(), strict=True):
        if true == ROW_END:
            is_open = False
        elif true != NOT_JUDGED:
            if not is_open:
                rows.append(([], []))
                is_open = True
            rows[-1][0].append(labels[found])
            rows[-1][1].append(labels[true])
    return rows


def _counts(one: Set[tuple[Any, ...]], other: Set[tuple[Any, ...]]) -> dict[str, tuple[int, int, int]]:
    right, guessed, wanted = (Counter(str(name) for name, *_ in part) for part in (one & other, one, other))
    return {name: (right[name], guessed[name], wanted[name]) for name in guessed.keys() | wanted.keys()}


def _scores(right: int, guessed: int, wanted: int) -> tuple[float, float, float]:
    precision = float(right / guessed) if guessed else 0.0
    recall = float(right / wanted) if wanted else 0.0
    return precision, recall, float(2 * right / (guessed + wanted)) if guessed + wanted else 0.0


def _interval(by_row: npt.NDArray[np.integer], *, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap of F1 over rows; `by_row` (rows, 3) counts of right, found and true entities."""
    chance = np.random.default_rng(seed)
    drawn = chance.multinomial(len(by_row), np.full(len(by_row), 1 / len(by_row)), size=RESAMPLES) @ by_row  # (resamples, 3)
    f1 = 2 * drawn[:, 0] / np.maximum(drawn[:, 1] + drawn[:, 2], 1)
    low, high = np.quantile(f1, (TAIL, 1 - TAIL))
    return float(low), float(high)
