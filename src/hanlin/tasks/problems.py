"""What hangs on a model's problem, where its task has more than one: how its numbers are made, compared and judged."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from hanlin.tasks.base import TASKS, HeadKind, Task
from hanlin.tasks.explained_writing import PromptedTargets
from hanlin.tasks.explaining import Explaining
from hanlin.tasks.likeness import FLAGS, LABELS, VALUES, Likeness
from hanlin.tasks.spec import ModelSpec, Problem
from hanlin.tasks.text_likeness import TEXTS

Function = Literal["softmax", "sigmoid", "none"]
FUNCTIONS: dict[Problem, Function] = {"single-label": "softmax", "multi-label": "sigmoid", "regression": "none"}
# The figures that say how good a model is, the main one first: greater is better in each.
FIGURES: dict[Problem, tuple[str, ...]] = {
    "single-label": ("accuracy", "macro_f1", "micro_f1"),
    "multi-label": ("micro_f1", "macro_f1", "map", "auc", "accuracy"),
    "regression": ("spearman", "pearson"),
}
HALF = 0.5


def likeness_of(task: Task, spec: ModelSpec) -> Likeness:
    """How two runs of this very model are compared."""
    if spec.prompt is not None:
        return TEXTS
    return task.likeness if spec.problem == "single-label" else FLAGS if spec.problem == "multi-label" else VALUES


def explaining_of(task: Task, spec: ModelSpec) -> Explaining:
    """How answers of this very model are explained."""
    return PromptedTargets(task.explaining) if spec.prompt is not None else task.explaining


def head_of(spec: ModelSpec) -> HeadKind:
    """What the network of this very model answers with: one that is asked for its task goes on with texts, whatever the task."""
    return "continuations" if spec.prompt is not None else TASKS.get(spec.task).head


def main_metric_of(task: Task, spec: ModelSpec) -> str:
    """The figure that this very model is judged by."""
    return task.main_metric if spec.problem == "single-label" else FIGURES[spec.problem][0]


def thresholds_of(spec: ModelSpec) -> npt.NDArray[np.float64]:
    """What each label's score must reach to pass, `(labels,)`."""
    return np.array(spec.thresholds or [HALF] * len(spec.labels), dtype=np.float64)


def scores_of(logits: npt.NDArray[np.floating], function: Function) -> npt.NDArray[np.float64]:
    """Scores `(rows, labels)` of logits in float64, safe against overflow."""
    if function == "none":
        return logits.astype(np.float64)
    return (FLAGS if function == "sigmoid" else LABELS).numbers(logits)
