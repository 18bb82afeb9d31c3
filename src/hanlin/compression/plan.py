"""What a search for variants is given: the rows that judge, the budget, the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hanlin.compression.judge import Bounds, Scores
from hanlin.compression.report import TARGETS
from hanlin.compression.task_exam import TaskExam
from hanlin.engines import REFERENCE, reference_of, split_variant, variant_files
from hanlin.errors import InvalidInput
from hanlin.generation import GenerationSettings
from hanlin.tasks.problems import head_of
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonValue


@dataclass(frozen=True, slots=True)
class EncodedSplit:
    """Rows of a split as token ids, and what is right of them as `Task.metrics` takes it; None where there is no gold, only texts.

    Args:
        types: token types of the rows, for a model that reads them; empty: all 0.
        questions: what the rows were made of, where each is written under a grammar of its own; else empty.
        counted: of rows that are read, which of their tokens from the second on count; empty: all.
    """

    ids: Sequence[Sequence[int]]
    gold: npt.NDArray[Any] | None = None
    types: Sequence[Sequence[int]] = ()
    questions: Sequence[JsonValue] = ()
    counted: Sequence[Sequence[bool]] = ()

    def places(self) -> npt.NDArray[np.bool_]:
        """Of rows that are read, whether each token behind the first of its row counts, (tokens,)."""
        rows = self.counted or [[True] * (len(row) - 1) for row in self.ids]
        return np.array([counts for row in rows for counts in row], dtype=bool)


@dataclass(frozen=True, slots=True)
class Plan:
    """A search's inputs, as `search` documents them; `names` holds the reference first."""

    folder: Path
    out: Path
    spec: ModelSpec
    validation: EncodedSplit
    test: EncodedSplit
    calibration: Sequence[Sequence[int]]
    names: tuple[str, ...]
    bounds: Bounds
    threads: int
    rounds: int
    max_tokens: int
    more: EncodedSplit
    writing: GenerationSettings | None = None
    pythons: Mapping[str, Path] = field(default_factory=dict)
    memory_share: float = 0.92
    exam: TaskExam | None = None

    @property
    def num_held(self) -> int:
        """Rows of numbers that validation texts have: one each, or one a token; of a text that is read one a token that counts."""
        lengths = [len(row) for row in self.validation.ids]
        if self.is_read:
            return int(self.validation.places().sum())
        return sum(lengths) if head_of(self.spec) in ("tokens", "roles") else len(lengths)

    def that_count(self, scores: tuple[Scores, Scores], *rows: EncodedSplit) -> tuple[Scores, Scores]:
        """What a variant said of rows, see `BenchClient.score`; of rows that are read, at the places that count."""
        if not self.is_read:
            return scores
        counted = np.concatenate([each.places() for each in rows])
        return scores[0][counted], scores[1][counted]

    @property
    def is_read(self) -> bool:
        """Whether its texts are read and not continued: each token then says how likely it was."""
        return self.writing is not None and self.writing.reads


def runnable(folder: Path, variants: Sequence[str]) -> list[str]:
    """Without those that run torch's weights, where the version has none."""
    has_weights = reference_of(folder) == REFERENCE
    return [name for name in variants if has_weights or variant_files(name)]


def check_plan(plan: Plan, target: str) -> None:
    """Raises InvalidInput (`invalid_search`, `bound_needs_reading`, `judging_rows_missing`, `calibration_empty`)."""
    if target not in TARGETS:
        raise InvalidInput("invalid_search", option="target", value=str(target)[:40], allowed=", ".join(TARGETS))
    bounds = plan.bounds
    if not 0 <= bounds.points <= 100:
        raise InvalidInput("invalid_search", option="budget", value=bounds.points, allowed="0 to 100 points")
    if plan.exam is not None and not plan.exam.calls:
        raise InvalidInput("judging_rows_missing", split="validation")
    for option, value in (("max_kl", bounds.max_kl), ("min_greedy_agreement", bounds.min_greedy_agreement)):
        if value is None:
            continue
        if not plan.is_read:
            raise InvalidInput("bound_needs_reading", option=option, task=plan.spec.task)
        if not 0 <= value <= 1:
            raise InvalidInput("invalid_search", option=option, value=value, allowed="0 to 1")
    for split, rows in (("validation", plan.validation), ("test", plan.test)):
        if len(rows.ids) == 0 and (split == "validation" or plan.validation.gold is not None):
            raise InvalidInput("judging_rows_missing", split=split)
    if plan.is_read and not plan.validation.places().any():  # of one token nothing comes next
        raise InvalidInput("judging_rows_missing", split="validation")
    int8 = [name for name in plan.names if split_variant(name)[1] == "int8"]
    if int8 and not any(len(row) for row in plan.calibration):
        raise InvalidInput("calibration_empty", variant=int8[0])
