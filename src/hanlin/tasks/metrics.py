"""Quality of a classifier in numpy: accuracy, F1, confusion, calibration, interval. Knows probabilities and indices only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hanlin.tasks.few_rows import few_test_rows, stored
from hanlin.tasks.useless import no_better_than_constant
from hanlin.types import JsonObject, JsonValue

ECE_BINS = 15
RESAMPLES = 1000
TAIL = 0.025  # left out on either side
NORMAL_TAIL = 1.959964  # standard deviations that leave it out


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One label's precision, recall and F1 (0..1; 0 where undefined) and its number of gold rows."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """Quality over `rows` rows; everything in 0..1.

    Args:
        confusion: counts, `confusion[gold][predicted]`.
        ece: expected calibration error of the winning label, 15 equal-width bins.
        interval: 95 % interval of the accuracy, see `accuracy_interval`.
    """

    rows: int
    accuracy: float
    macro_f1: float
    micro_f1: float
    ece: float
    interval: tuple[float, float]
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]

    def get(self, name: str) -> float:
        """One single-number metric by name (`accuracy`, `macro_f1`, `micro_f1`, `ece`). Raises KeyError."""
        return {"accuracy": self.accuracy, "macro_f1": self.macro_f1, "micro_f1": self.micro_f1, "ece": self.ece}[name]

    def to_json(self) -> JsonObject:
        """The stored form."""
        per_class: list[JsonValue] = [
            {"label": item.label, "precision": item.precision, "recall": item.recall, "f1": item.f1, "support": item.support}
            for item in self.per_class
        ]
        return {
            "rows": self.rows,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "micro_f1": self.micro_f1,
            "ece": self.ece,
            "interval": list(self.interval),
            "per_class": per_class,
            "confusion": [list(row) for row in self.confusion],
            "warnings": stored(few_test_rows(self.rows), no_better_than_constant(self.accuracy, [sum(row) for row in self.confusion])),
        }


def classification_metrics(probabilities: npt.NDArray[np.floating], gold: npt.NDArray[np.integer], labels: Sequence[str]) -> Metrics:
    """All metrics of `probabilities` `(rows, labels)` against label indices `gold` `(rows,)`.

    Macro F1 averages over the labels that occur in gold or prediction; micro F1 equals accuracy when every row has one label.
    """
    rows, width = probabilities.shape
    assert gold.shape == (rows,), "one gold label a row"
    assert width == len(labels), "one probability a label"
    assert rows > 0, "metrics of no rows mean nothing"
    predicted = probabilities.argmax(axis=1)
    confusion = np.bincount(gold.astype(np.int64) * width + predicted, minlength=width * width).reshape(width, width)  # (gold, predicted)
    right = confusion.diagonal().astype(np.float64)
    support, guessed = confusion.sum(axis=1), confusion.sum(axis=0)
    precision = _ratio(right, guessed)
    recall = _ratio(right, support)
    f1 = _ratio(2 * right, support + guessed)
    is_seen = (support + guessed) > 0
    accuracy = float(right.sum() / rows)
    return Metrics(
        rows=rows,
        accuracy=accuracy,
        macro_f1=float(f1[is_seen].mean()),
        micro_f1=accuracy,
        ece=calibration_error(probabilities.max(axis=1), predicted == gold),
        interval=accuracy_interval(int(right.sum()), rows),
        per_class=tuple(
            ClassScore(label, float(precision[index]), float(recall[index]), float(f1[index]), int(support[index]))
            for index, label in enumerate(labels)
        ),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def calibration_error(confidence: npt.NDArray[np.floating], is_right: npt.NDArray[np.bool_]) -> float:
    """Mean gap between confidence and accuracy over 15 equal-width bins, weighted by rows. Source: Guo et al. 2017, eq. 3."""
    bins = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    right = np.bincount(bins, weights=is_right, minlength=ECE_BINS)
    claimed = np.bincount(bins, weights=confidence, minlength=ECE_BINS)
    return float(np.abs(right - claimed).sum() / len(confidence))


def accuracy_interval(right: int, rows: int) -> tuple[float, float]:
    """95 % interval of an accuracy: the bootstrap's, and the exact one where all or no rows are right.

    Resampling rows that are all right only ever gives rows that are all right: an interval without width, whatever their number.
    Source: Clopper and Pearson 1934; with `right` = 0 or `rows` their bounds have a closed form.
    """
    if right == rows:
        return float(TAIL ** (1 / rows)), 1.0
    if right == 0:
        return 0.0, float(1 - TAIL ** (1 / rows))
    return bootstrap_interval(right, rows)


def wilson_interval(right: int, rows: int) -> tuple[float, float]:
    """95 % score interval of a share near 0 or 1, such as agreeing labels: 200 of 200 leave 1.9 % below.

    Source: Wilson 1927, without continuity correction.
    """
    share, z2 = right / rows, NORMAL_TAIL**2
    middle, half = share + z2 / (2 * rows), NORMAL_TAIL * math.sqrt(share * (1 - share) / rows + z2 / (4 * rows**2))
    low, high = ((middle + side) / (1 + z2 / rows) for side in (-half, half))
    return (low if right else 0.0), (high if right < rows else 1.0)  # exactly, whatever rounding left


def bootstrap_interval(right: int, rows: int, *, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap 95 % interval of an accuracy, from 1,000 resamples with a fixed seed.

    Drawing `rows` outcomes with replacement and counting the right ones *is* a binomial draw, so each resample costs one number.
    """
    counts = np.random.default_rng(seed).binomial(rows, right / rows, size=RESAMPLES)
    low, high = np.quantile(counts / rows, (TAIL, 1 - TAIL))
    return float(low), float(high)


def _ratio(part: npt.NDArray[np.float64], whole: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0), dtype=np.float64)
