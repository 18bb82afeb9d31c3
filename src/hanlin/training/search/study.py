"""`Study`: the trials of a search in a SQLite file, proposed and judged by Optuna. One process owns it.

After a kill the file says which trials are done; those that ran are given out again as they were, with the same options and the
values that they had told. What is proposed depends on the seed and on the trials before, never on how often the process was killed.
"""

from __future__ import annotations

import hashlib
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from hanlin.errors import DataCorrupt
from hanlin.messages.said import Said
from hanlin.training.search.report import SearchReport, TrialReport
from hanlin.training.search.space import Between, Choices, Space
from hanlin.types import JsonObject

Pruner = Literal["asha", "hyperband", "none"]
_STARTUP = 4  # trials that reach the first evaluation before any is pruned: a rank among two says nothing
_FACTOR = 3  # of the trials at a rung, one in so many goes on
_MAX_TWINS = 30  # proposals in a row that were tried before: the space is used up
_STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


class Study:
    """Opens or goes on with the study in `path`.

    Args:
        path: the SQLite file.
        space: what is searched.
        metric: what is watched; `loss` shall be small, anything else large. A file that knows better keeps to what it knows.
        seed: of the proposals.
        pruner: which trials end early: `asha` (successive halving), `hyperband`, `none`.
        request: digest of all that decides the study; a file of another one is refused.

    Raises:
        DataCorrupt: `study_unusable`.
    """

    def __init__(self, path: Path, space: Space, *, metric: str, seed: int, pruner: Pruner, request: str) -> None:
        self.space = space
        self.metric = metric
        self.seed = seed
        self.pruner: Pruner = pruner
        self._distributions = {name: item.distribution() for name, item in space.options.items()}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            with _quietly():
                self._study = optuna.create_study(
                    storage=f"sqlite:///{path}", study_name="study", direction="minimize" if metric == "loss" else "maximize",
                    pruner=_pruner(pruner, space), load_if_exists=True,
                )  # fmt: skip
            known = self._study.user_attrs.setdefault("request", request)
        except (SQLAlchemyError, ValueError, RuntimeError) as error:
            raise DataCorrupt("study_unusable", details=str(error)[:500]) from error
        if known != request:
            raise DataCorrupt("study_unusable")
        self._study.set_user_attr("request", request)
        self.metric = str(self._study.user_attrs.get("metric", metric))
        self._unfinished = [int(trial.user_attrs["number"]) for trial in self._frozen() if trial.state is TrialState.RUNNING]

    def watch(self, metric: str) -> None:
        """Takes the name of the figure that trials go by: their rows may have settled another one than was asked for."""
        if metric != self.metric:
            self.metric = metric
            self._study.set_user_attr("metric", metric)

    def next(self) -> int | None:
        """Number of the trial to run now: one that a killed process left, else a new one. None when the space is used up."""
        if self._unfinished:
            return self._unfinished.pop(0)
        self._propose_usual()
        for _ in range(_MAX_TWINS):
            with _quietly():
                self._study.sampler = self._sampler()
                trial = self._study.ask(self._distributions)
            if any(other.params == trial.params for other in self._frozen()):
                self._study.tell(trial, state=TrialState.FAIL)  # tried before; without a number it is no trial of ours
                continue
            number = len(self._frozen())
            trial.set_user_attr("number", number)
            return number
        return None

    def put_back(self, number: int) -> None:
        """Has a trial of which the process died be given out again."""
        self._unfinished.append(number)

    def options(self, number: int) -> JsonObject:
        """The values of the searched options."""
        return dict(self._find(number).params)

    def add_attempt(self, number: int) -> int:
        """Notes that the trial is begun once more; how often it has been by now."""
        trial = self._trial(number)
        attempts = int(trial.user_attrs.get("attempts", 0)) + 1
        trial.set_user_attr("attempts", attempts)
        return attempts

    def report(self, number: int, step: int, value: float) -> bool:
        """Notes an evaluation after a training step. Whether the trial shall go on. A step that was told before is judged anew."""
        trial = self._trial(number)
        steps: list[int] = [*trial.user_attrs.get("steps", [])]
        if step in steps:
            return True  # told before the kill; its verdict was to go on, or the trial would have ended
        with _quietly():
            trial.report(value, len(steps) + 1)
            trial.set_user_attr("steps", [*steps, step])
            is_worse = trial.should_prune()
        others = sum(bool(other.intermediate_values) for other in self._frozen())
        return not is_worse or others <= _STARTUP

    def add_seconds(self, number: int, seconds: float) -> None:
        """Adds to the time that the trial ran."""
        trial = self._trial(number)
        trial.set_user_attr("seconds", float(trial.user_attrs.get("seconds", 0.0)) + seconds)

    def complete(self, number: int, value: float) -> None:
        """Ends a trial well."""
        self._study.tell(self._trial(number), value)

    def prune(self, number: int) -> None:
        """Ends a trial that is not worth going on with."""
        self._study.tell(self._trial(number), state=TrialState.PRUNED)

    def fail(self, number: int, reason: Said, *, is_lesson: bool) -> None:
        """Ends a trial badly. `is_lesson`: its options are to blame, and proposals shall keep away from them."""
        trial = self._trial(number)
        trial.set_user_attr("reason", reason.to_json())
        self._study.tell(trial, state=TrialState.PRUNED if is_lesson else TrialState.FAIL)

    @property
    def has_unfinished(self) -> bool:
        """Whether trials that were begun wait for a process."""
        return bool(self._unfinished)

    def report_all(self, *, has_importance: bool = False) -> SearchReport:
        """The study as it stands."""
        trials = tuple(_report(trial) for trial in self._frozen())
        importance = self._importance() if has_importance else {}
        seconds = sum(trial.seconds for trial in trials)
        return SearchReport(self.metric, self.space.to_json(), self.pruner, self.seed, trials, importance, seconds)

    def close(self) -> None:
        """Lets go of the file."""
        self._study._storage.remove_session()

    def _propose_usual(self) -> None:
        usual = self.space.defaults()
        is_proposed = any(
            trial.user_attrs.get("is_usual") and (trial.state is TrialState.WAITING or "number" in trial.user_attrs)
            for trial in self._study.get_trials(deepcopy=False)
        )
        if usual is not None and not is_proposed:
            with _quietly():
                self._study.enqueue_trial(usual, user_attrs={"is_usual": True})

    def _sampler(self) -> optuna.samplers.BaseSampler:
        asked = len(self._study.get_trials(deepcopy=False))
        seed = int.from_bytes(hashlib.sha256(f"{self.seed}:{asked}".encode()).digest()[:4], "big")
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=8, multivariate=True, constant_liar=True)

    def _importance(self) -> dict[str, float]:
        values = [trial.value for trial in self._frozen() if trial.state is TrialState.COMPLETE]
        if len(values) < 4 or max(values) == min(values):
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self.seed % 2**31)
        with _quietly():
            found = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return {name: share for name, share in found.items() if math.isfinite(share)}

    def _frozen(self) -> list[FrozenTrial]:
        """Our trials in order; what Optuna holds besides are proposals that came twice."""
        found = [trial for trial in self._study.get_trials(deepcopy=False) if "number" in trial.user_attrs]
        return sorted(found, key=lambda trial: int(trial.user_attrs["number"]))

    def _find(self, number: int) -> FrozenTrial:
        return self._frozen()[number]

    def _trial(self, number: int) -> Trial:
        return Trial(self._study, self._find(number)._trial_id)


def _report(trial: FrozenTrial) -> TrialReport:
    evaluations = tuple(value for _, value in sorted(trial.intermediate_values.items()))
    reason = Said.from_json(trial.user_attrs.get("reason"))
    value = trial.value if trial.state is TrialState.COMPLETE else (evaluations[-1] if evaluations else None)
    state = "failed" if reason else _STATES.get(trial.state, "running")
    return TrialReport(
        int(trial.user_attrs["number"]), state, dict(trial.params), value, evaluations, float(trial.user_attrs.get("seconds", 0.0)),  # type: ignore[arg-type]  # of the table above
        trial.user_attrs.get("is_usual") is True, reason,
    )  # fmt: skip


def _pruner(name: Pruner, space: Space) -> optuna.pruners.BasePruner:
    if name == "none":
        return optuna.pruners.NopPruner()
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=_most_evaluations(space), reduction_factor=_FACTOR)
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=_FACTOR)


def _most_evaluations(space: Space) -> int:
    """Evaluations of the longest trial that the space allows."""
    usual = space.config({})
    match space.options.get("epochs"):
        case Between() as epochs:
            most = int(epochs.high)
        case Choices() as epochs:
            most = max(int(value) for value in epochs.values)
        case _:
            most = usual.epochs
    return most * usual.evaluations


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Optuna's remarks on what is new in it, and with the process's loggers as they were: its migrations configure logging anew."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    loggers = {name: item.disabled for name, item in root.manager.loggerDict.items() if isinstance(item, logging.Logger)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, is_disabled in loggers.items():
            logging.getLogger(name).disabled = is_disabled
