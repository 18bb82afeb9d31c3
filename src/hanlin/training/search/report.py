"""What a search found: its trials, the best of them, and which options mattered. Plain values; no torch, no Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from hanlin.messages.said import Said
from hanlin.types import JsonObject, JsonValue

TrialState = Literal["running", "complete", "pruned", "failed"]


@dataclass(frozen=True, slots=True)
class TrialReport:
    """One trial, numbered from 0.

    Attributes:
        value: the watched metric on the validation rows: of what was saved, or at the last evaluation of a trial that did not end.
        evaluations: the metric at each evaluation.
        is_usual: the options that a training without a search would have.
        reason: why it failed.
    """

    number: int
    state: TrialState
    options: JsonObject
    value: float | None
    evaluations: tuple[float, ...] = ()
    seconds: float = 0.0
    is_usual: bool = False
    reason: Said | None = None

    def to_json(self) -> JsonObject:
        """The stored form."""
        evaluations: list[JsonValue] = [round(value, 6) for value in self.evaluations]
        found: JsonObject = {
            "number": self.number, "state": self.state, "value": self.value, "options": self.options, "evaluations": evaluations,
            "seconds": round(self.seconds, 1),
        }  # fmt: skip
        found |= {"is_usual": True} if self.is_usual else {}
        return found | ({"reason": self.reason.to_json()} if self.reason else {})

    @classmethod
    def from_json(cls, found: JsonObject) -> TrialReport:
        """What `to_json` wrote."""
        evaluations = cast("list[float]", found["evaluations"])
        return cls(
            cast("int", found["number"]), cast("TrialState", found["state"]), cast("JsonObject", found["options"]),
            cast("float | None", found["value"]), tuple(evaluations), cast("float", found["seconds"]), found.get("is_usual") is True,
            Said.from_json(found.get("reason")),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SearchReport:
    """A study as it stands.

    Attributes:
        importance: share of each searched option in the differences between the trials; empty where there were too few.
        seconds: that trials ran, over all attempts.
    """

    metric: str
    space: JsonObject
    pruner: str
    seed: int
    trials: tuple[TrialReport, ...]
    importance: Mapping[str, float]
    seconds: float

    @property
    def is_loss(self) -> bool:
        """Whether less is better."""
        return self.metric == "loss"

    @property
    def best(self) -> TrialReport | None:
        """The finished trial with the best value, the earliest of equals."""
        return best_of(self.trials, is_loss=self.is_loss)

    @property
    def usual(self) -> TrialReport | None:
        """The trial with the options of a training without a search, where the space holds them."""
        return next((trial for trial in self.trials if trial.is_usual), None)

    def to_json(self) -> JsonObject:
        """The stored form."""
        best, usual = self.best, self.usual
        return {
            "metric": self.metric, "space": self.space, "pruner": self.pruner, "seed": self.seed, "seconds": round(self.seconds, 1),
            "best": best.number if best else None, "best_value": best.value if best else None,
            "usual_value": usual.value if usual and usual.state == "complete" else None,
            "importance": {name: round(share, 4) for name, share in self.importance.items()},
            "trials": [trial.to_json() for trial in self.trials],
        }  # fmt: skip

    @classmethod
    def from_json(cls, found: JsonObject) -> SearchReport:
        """What `to_json` wrote."""
        trials = tuple(TrialReport.from_json(trial) for trial in cast("list[JsonObject]", found["trials"]))
        return cls(
            str(found["metric"]), cast("JsonObject", found["space"]), str(found["pruner"]), cast("int", found["seed"]), trials,
            cast("dict[str, float]", found["importance"]), cast("float", found["seconds"]),
        )  # fmt: skip


def best_of(trials: Sequence[TrialReport], *, is_loss: bool) -> TrialReport | None:
    """The finished trial with the best value, the earliest of equals."""
    done = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    return min(done, key=lambda trial: (trial.value if is_loss else -(trial.value or 0.0), trial.number), default=None)
