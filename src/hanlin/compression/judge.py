"""How like the trained model a variant answers: agreement, score differences, neighbours, and the tolerance it may declare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hanlin.messages.said import Said
from hanlin.tasks.likeness import Likeness

Scores = npt.NDArray[np.float64]

FP32_TOLERANCE = 1e-4
MIN_AGREEMENT = 0.99  # what the certificate asks of bf16 and int8
MAX_KL = 0.05  # nats: what 4 bits of a large network cost
NUM_NEIGHBOURS = 31


@dataclass(frozen=True, slots=True)
class Judgement:
    """Scores on validation rows and on those given besides, how they compare with the reference's, and the metric on validation rows.

    Attributes:
        greedy_agreement: share of places of validation rows at which both find the same token likeliest; None unless rows are read.
    """

    scores: Scores
    metric: float
    drop_points: float
    agreement: float
    max_difference: float
    mean_difference: float
    greedy_agreement: float | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a variant may lose on validation rows.

    Args:
        points: of the main metric, in hundredths.
        max_kl: mean Kullback-Leibler divergence of what comes next, in nats; None: any.
        min_greedy_agreement: least greedy agreement in 0..1; None: any.
        task_points: of the figure of the task that is asked besides, in hundredths; None: any.
    """

    points: float
    max_kl: float | None = None
    min_greedy_agreement: float | None = None
    task_points: float | None = None

    def broken_by(self, found: Judgement) -> Said | None:
        """Which of them a variant breaks; None when it keeps to all."""
        if not found.drop_points <= self.points + 1e-9:  # no number is none that keeps to it
            return Said("points_lost", {"points": f"{found.drop_points:.2f}", "budget": f"{self.points:g}"})
        if self.max_kl is not None and not found.mean_difference <= self.max_kl:
            return Said("kl_over", {"kl": f"{found.mean_difference:.4f}", "allowed": f"{self.max_kl:g}"})
        asked, same = self.min_greedy_agreement, found.greedy_agreement or 0.0
        if asked is not None and not same >= asked:
            return Said("greedy_disagrees", {"agreement": f"{same:.2%}", "asked": f"{asked:.2%}"})
        return None

    def broken_in_task(self, metric: str, points: float) -> Said | None:
        """The same of the points lost in the task that is asked besides."""
        if self.task_points is None or points <= self.task_points + 1e-9:
            return None
        return Said("task_points_lost", {"metric": metric, "points": f"{points:.2f}", "budget": f"{self.task_points:g}"})


def judge(
    scores: Scores, metric: float, reference: Judgement | None, likeness: Likeness, *, num_held: int | None = None, is_read: bool = False
) -> Judgement:  # fmt: skip
    """`scores` (rows, values) against the reference's, as the task compares; the reference against itself when None.

    Args:
        num_held: how many rows at the beginning training never saw; agreement and the mean difference are theirs alone, because a model is
            sure of the others.
        is_read: the rows are places of texts, and `likeness` compares what comes next.
    """
    if reference is None:
        return Judgement(scores, metric, 0.0, 1.0, 0.0, 0.0, 1.0 if is_read else None)
    agreement = float(likeness.agree(scores, reference.scores)[:num_held].mean())
    differences = likeness.differ(scores, reference.scores)
    largest, mean = float(differences.max()), float(differences[:num_held].mean())
    greedy = likeness.closeness(scores[:num_held], reference.scores[:num_held]) if is_read else None
    return Judgement(scores, metric, (reference.metric - metric) * 100, agreement, largest, mean, greedy)


def perplexity_of(logs: Scores) -> float | None:
    """A token, of the logarithms of tokens' chances, (tokens,); None of no token."""
    return math.exp(min(700.0, -float(logs.mean()))) if len(logs) else None


def tolerance_of(precision: str, seen: float) -> float:
    """Largest score difference that is still this variant: 1e-4 for fp32, else half as much again as was seen, and 0.02 of room."""
    return FP32_TOLERANCE if precision == "fp32" else min(1.0, round(1.5 * seen + 0.02, 4))


def unlike_reason(precision: str, found: Judgement, strays: float, tolerance: float) -> Said | None:
    """Why this variant could not be certified; None when it can."""
    if precision == "fp32" and found.max_difference > tolerance:
        return Said("scores_differ", {"difference": f"{found.max_difference:.1e}", "allowed": f"{tolerance:g}"})
    if strays > tolerance:
        return Said("scores_stray", {"difference": f"{strays:.1e}"})
    if found.agreement < MIN_AGREEMENT:
        return Said("labels_disagree", {"agreement": f"{found.agreement:.1%}", "asked": f"{MIN_AGREEMENT:.0%}"})
    return None


def odd_neighbours(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """31 rows that nobody would send together: shortest, long, repeats and reversals of real rows.

    Only ids that occur in `rows` are used, so no vocabulary limit can be crossed. "Long" is the 95th percentile: the very longest
    row would make this check dearer than all the measuring.
    """
    by_length = sorted(rows, key=len)
    longest = list(by_length[int(len(rows) * 0.95)])
    odd = [list(by_length[0]), longest, longest[:1] * 3, longest[::-1], list(by_length[len(rows) // 2]) * 2]
    odd = [row[: len(longest)] for row in odd]
    return [odd[number % len(odd)] for number in range(NUM_NEIGHBOURS)]
