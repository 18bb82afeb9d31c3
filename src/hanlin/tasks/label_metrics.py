"""Quality where several labels may apply to a text: F1s, areas under curves, mean average precision; and of scores. In numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hanlin.tasks.few_rows import few_test_rows, stored
from hanlin.tasks.metrics import ClassScore
from hanlin.tasks.ranking_metrics import ScalarMetrics, correlation, ranks, resampled
from hanlin.tasks.useless import nothing_found_right
from hanlin.types import JsonObject, JsonValue

Flags = npt.NDArray[np.bool_]  # (rows, labels)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MultiLabelMetrics:
    """Quality over `rows` rows; everything in 0..1.

    Args:
        accuracy: share of rows of which all labels are right.
        auc: area under the ROC curve, the mean of the labels that some rows have and some lack.
        map: mean average precision of the same labels.
        interval: 95 % interval of `micro_f1`, from 1,000 resamples of the rows.
    """

    rows: int
    accuracy: float
    micro_f1: float
    macro_f1: float
    auc: float
    map: float
    interval: tuple[float, float]
    per_class: tuple[ClassScore, ...]

    def get(self, name: str) -> float:
        """One single-number metric by name. Raises KeyError."""
        found = {"accuracy": self.accuracy, "micro_f1": self.micro_f1, "macro_f1": self.macro_f1, "auc": self.auc, "map": self.map}
        return found[name]

    def to_json(self) -> JsonObject:
        """The stored form."""
        per_class: list[JsonValue] = [
            {"label": item.label, "precision": item.precision, "recall": item.recall, "f1": item.f1, "support": item.support}
            for item in self.per_class
        ]
        return {
            "problem": "multi-label", "rows": self.rows, "accuracy": self.accuracy, "micro_f1": self.micro_f1, "macro_f1": self.macro_f1,
            "auc": self.auc, "map": self.map, "interval": list(self.interval), "per_class": per_class,
            "warnings": stored(
                few_test_rows(self.rows), nothing_found_right(self.micro_f1, sum(item.support for item in self.per_class))
            ),
        }  # fmt: skip


def multi_label_metrics(scores: Floats, passes: Flags, gold: Flags, labels: Sequence[str]) -> MultiLabelMetrics:
    """All metrics of `scores` and of the labels that were said to pass, against those that apply; `(rows, labels)` each.

    Macro F1 averages over the labels that occur in gold or prediction.
    """
    assert scores.shape == passes.shape == gold.shape, "one score and one verdict a label"
    assert len(gold), "metrics of no rows mean nothing"
    right, support, guessed = ((one & other).sum(axis=0) for one, other in ((passes, gold), (gold, gold), (passes, passes)))
    precision, recall, f1 = _share(right, guessed), _share(right, support), _share(2 * right, support + guessed)
    is_seen = (support + guessed) > 0
    judged = [column for column in range(len(labels)) if 0 < support[column] < len(gold)]
    hits, marks = (passes & gold).sum(axis=1), passes.sum(axis=1) + gold.sum(axis=1)
    return MultiLabelMetrics(
        rows=len(gold),
        accuracy=float((passes == gold).all(axis=1).mean()),
        micro_f1=_micro(hits, marks),
        macro_f1=float(f1[is_seen].mean()) if is_seen.any() else 0.0,
        auc=float(np.mean([roc_area(scores[:, at], gold[:, at]) for at in judged])) if judged else 0.0,
        map=float(np.mean([average_precision(scores[:, at], gold[:, at]) for at in judged])) if judged else 0.0,
        interval=resampled(len(gold), lambda drawn: _micro(hits[drawn], marks[drawn])),
        per_class=tuple(
            ClassScore(label, float(precision[at]), float(recall[at]), float(f1[at]), int(support[at])) for at, label in enumerate(labels)
        ),
    )


def score_metrics(scores: Floats, gold: Floats) -> ScalarMetrics:
    """How scores `(rows,)` follow those that people gave: Spearman's and Pearson's correlation, mean squared and absolute error."""
    gaps = scores - gold
    values = {
        "spearman": correlation(ranks(scores), ranks(gold)), "pearson": correlation(scores, gold),
        "mse": float((gaps**2).mean()), "mae": float(np.abs(gaps).mean()),
    }  # fmt: skip
    interval = resampled(len(gold), lambda drawn: correlation(ranks(scores[drawn]), ranks(gold[drawn])))
    return ScalarMetrics(len(gold), values, interval)


def roc_area(scores: Floats, gold: npt.NDArray[np.bool_]) -> float:
    """How often a row that has the label scores above one that lacks it, ties counting half: the area under the ROC curve.

    Source: Mann and Whitney 1947.
    """
    positive = int(gold.sum())
    above = float(ranks(scores)[gold].sum()) - positive * (positive + 1) / 2
    return above / (positive * (len(gold) - positive))


def average_precision(scores: Floats, gold: npt.NDArray[np.bool_]) -> float:
    """Precision at each threshold, weighted by the recall it adds. Rows of equal score come in together, as scikit-learn has it."""
    order = np.argsort(-scores, kind="stable")
    hits = gold[order].cumsum()
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    recalls = hits[ends] / hits[-1]
    return float((np.diff(recalls, prepend=0.0) * hits[ends] / (ends + 1)).sum())


def tuned_thresholds(scores: Floats, gold: Flags, *, least: int = 5) -> tuple[float, ...]:
    """For each label the score from which on it passes with the best F1 on these rows; of several such thresholds the one nearest a half.

    Args:
        least: rows that must have a label; one of fewer keeps the half, because any threshold would be chance.
    """
    return tuple(
        _threshold(scores[:, at], gold[:, at]) if gold[:, at].sum() >= least else 0.5 for at in range(scores.shape[1])
    )  # fmt: skip


def _threshold(scores: Floats, gold: npt.NDArray[np.bool_]) -> float:
    order = np.argsort(-scores, kind="stable")
    hits = gold[order].cumsum()
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + hits[-1])
    found = scores[order]
    ends = np.append(found[1:], 0.0)
    is_cut = found > ends  # rows of equal score pass together
    best = f1[is_cut].max(initial=0.0)
    middles = ((found + ends) / 2)[is_cut & (f1 == best)]
    return round(float(middles[np.abs(middles - 0.5).argmin()]), 6) if len(middles) else 0.5


def _micro(hits: npt.NDArray[np.integer], marks: npt.NDArray[np.integer]) -> float:
    whole = int(marks.sum())
    return float(2 * hits.sum() / whole) if whole else 1.0


def _share(part: npt.NDArray[np.integer], whole: npt.NDArray[np.integer]) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0), dtype=np.float64)
