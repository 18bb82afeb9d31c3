"""The figure by which variants are judged: the task's, what was foreseen of texts, or closeness to the trained model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hanlin.compression.plan import EncodedSplit, Plan
from hanlin.tasks.base import TASKS
from hanlin.tasks.problems import HALF, likeness_of, main_metric_of, thresholds_of

Scores = npt.NDArray[np.float64]
Measured = tuple[float, tuple[float, float] | None]  # with its interval
AGREEMENT = "agreement"  # the figure where there is no gold


def figure_name(plan: Plan) -> str:
    """What it is called."""
    return main_metric_of(TASKS.get(plan.spec.task), plan.spec) if plan.is_read or plan.validation.gold is not None else AGREEMENT


def main_figure(plan: Plan, scores: Scores, seen: Scores, rows: EncodedSplit, reference: Scores | None) -> Measured:
    """Of `scores` (rows, values); of texts that are read the foreseen share of `seen`, without gold closeness to the reference's."""
    task, spec = TASKS.get(plan.spec.task), plan.spec
    if plan.is_read:
        return (float(seen[:, 1].mean()) if len(seen) else 0.0), None
    if rows.gold is None:
        return (1.0 if reference is None else likeness_of(task, spec).closeness(scores, reference)), None
    if spec.problem == "multi-label":  # a half stands for every label's own threshold
        scores = np.clip(scores - thresholds_of(spec) + HALF, 0, 1)
    metrics = task.metrics(scores, rows.gold, spec.labels)
    return metrics.get(figure_name(plan)), metrics.interval
