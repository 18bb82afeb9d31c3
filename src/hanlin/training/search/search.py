"""`search`: trials are proposed, trained, judged and ended early until the budget is used up; the best one's artifact stays."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hanlin.errors import FAMILIES, InvalidInput
from hanlin.messages.said import Said
from hanlin.storage.durable import write_atomically
from hanlin.training.ports import Progress
from hanlin.training.search.crew import Crew
from hanlin.training.search.report import SearchReport
from hanlin.training.search.study import Study
from hanlin.types import JsonObject

MAX_ATTEMPTS = 3
_SHARES = 1000  # progress is told in thousandths of the budget


@dataclass(frozen=True, slots=True)
class Budget:
    """When a search ends: after so many trials, or so much time of search, whichever is first. Trials that run finish, unless
    time is up and one is done: they end at their next evaluation."""

    trials: int
    time_s: float | None = None


@dataclass(slots=True)
class _Running:
    """A trial at work: since when, and how far of its own steps."""

    number: int
    since_s: float
    share: float = 0.0


class Search:
    """One search, or its next attempt. `folder` holds the trials, each in a folder of its own.

    Args:
        study: the trials.
        brief: what they train on, see `worker.py`.
        folder: for their checkpoints and artifacts; survives a kill.
        budget: when to end.
        parallel: trials at a time; threads: of each.
        progress: where to report; `on_change` is told of every trial that ended.
    """

    def __init__(
        self, study: Study, brief: JsonObject, folder: Path, *, budget: Budget, parallel: int, threads: int, progress: Progress,
        on_change: Callable[[SearchReport], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._study = study
        self._folder = folder
        self._budget = budget
        self._progress = progress
        self._on_change = on_change
        self._crew = Crew(parallel, brief, threads=threads)
        self._running: dict[int, _Running] = {}  # by place
        self._is_used_up = False
        self._last_reason: Said | None = None
        self._spent_s = _read_seconds(folder)
        self._started_s = time.monotonic()

    def run(self) -> SearchReport:
        """All trials; the artifact of the best one is in `folder/NUMBER/out`, its training report beside it.

        Raises:
            InvalidInput: `no_trial_finished`, or what the training says of the options that every trial has.
            Cancelled: from `progress`.
        """
        self._sweep()
        with self._crew:
            while True:
                self._fill()
                if not self._running:
                    break
                if (news := self._crew.wait(1.0)) is not None:
                    self._take(*news)
                self._progress.check_cancelled()
                self._tell()
        found = self._study.report_all(has_importance=True)
        if found.best is None:
            raise InvalidInput("no_trial_finished", reason=self._last_reason.text("en") if self._last_reason else "")
        return found

    @property
    def _seconds(self) -> float:
        """Time of search, over all attempts."""
        return self._spent_s + time.monotonic() - self._started_s

    @property
    def _is_late(self) -> bool:
        return self._budget.time_s is not None and self._seconds >= self._budget.time_s

    def _fill(self) -> None:
        """Give every free place a trial while the budget lasts."""
        for place in range(self._crew.size):
            if place in self._running or self._is_used_up:
                continue
            trials = self._study.report_all().trials
            if not self._study.has_unfinished and (len(trials) >= self._budget.trials or (self._is_late and trials)):
                return
            number = self._study.next()
            if number is None:
                self._is_used_up = True
                return
            self._begin(place, number)

    def _begin(self, place: int, number: int) -> None:
        attempts = self._study.add_attempt(number)
        if attempts > MAX_ATTEMPTS:
            self._fail(number, Said("process_of_trial_died", {"attempts": attempts - 1}), is_lesson=True)
            return
        space = self._study.space
        options: JsonObject = {**space.fixed, **self._study.options(number)}
        self._running[place] = _Running(number, time.monotonic())
        self._crew.begin(place, {"options": options, "model": space.model, "task": space.task, "folder": str(self._folder / str(number))})

    def _take(self, place: int, words: JsonObject | None) -> None:
        running = self._running[place]
        if words is None or "end" in words:
            del self._running[place]
            self._study.add_seconds(running.number, time.monotonic() - running.since_s)
            self._end(running.number, words)
            return
        if "metric" in words:
            self._study.watch(str(words["metric"]))
            return
        step, total, value = words["step"], words["total"], words.get("value")
        assert isinstance(step, int) and isinstance(total, int)
        running.share = step / max(1, total)
        if isinstance(value, float):
            self._crew.answer(place, is_to_go_on=self._judge(running.number, step, value))

    def _judge(self, number: int, step: int, value: float) -> bool:
        is_good = math.isfinite(value) and self._study.report(number, step, value)
        return is_good and not (self._is_late and self._study.report_all().best is not None)

    def _end(self, number: int, words: JsonObject | None) -> None:
        if words is None:
            self._study.put_back(number)  # its process died: once more, from its checkpoint
            return
        report = words.get("report")
        if isinstance(report, dict):
            write_atomically(self._folder / str(number) / "report.json", json.dumps(report).encode())
            best = report["best"]
            assert isinstance(best, float)
            self._study.complete(number, best)
        elif words["end"] == "pruned":
            self._study.prune(number)
        else:
            self._take_failure(number, words)
        self._tell_of(number)

    def _take_failure(self, number: int, words: JsonObject) -> None:
        said = Said.from_json(words.get("said")) or Said("internal")
        error = FAMILIES[str(words.get("family"))].of(said.code, dict(said.params))  # type: ignore[arg-type]  # what a message takes, an error does
        is_usual = self._study.report_all().trials[number].is_usual
        if is_usual and isinstance(error, InvalidInput):
            raise error  # the data, or the options that all trials share, are to blame
        self._fail(number, said, is_lesson=True)

    def _fail(self, number: int, reason: Said, *, is_lesson: bool) -> None:
        self._last_reason = reason
        self._study.fail(number, reason, is_lesson=is_lesson)

    def _tell_of(self, number: int) -> None:
        """A line and the figures of a trial that ended; files of trials that are not the best go."""
        found = self._study.report_all()
        trial, best = found.trials[number], found.best
        options = ", ".join(f"{name}={_short(value)}" for name, value in trial.options.items())
        figures: dict[str, float] = {}
        if trial.value is not None:
            figures[f"trial_{found.metric}"] = trial.value
        if best is not None and best.value is not None:
            figures[f"best_{found.metric}"] = best.value
        value = "–" if trial.value is None else f"{trial.value:.4g}"
        if trial.state == "failed":
            self._progress.message("trial_failed", number=number, reason=trial.reason, options=options)
        else:
            code = "trial_pruned" if trial.state == "pruned" else "trial_best" if trial is best else "trial_done"
            self._progress.message(code, number=number, metric=found.metric, value=value, options=options)
        write_atomically(self._folder / "seconds.json", json.dumps(self._seconds).encode())
        self._sweep()
        self._on_change(found)
        self._tell(figures)

    def _sweep(self) -> None:
        found = self._study.report_all()
        kept = {trial.number for trial in found.trials if trial.state == "running"} | ({found.best.number} if found.best else set())
        for trial in found.trials:
            if trial.number not in kept:
                shutil.rmtree(self._folder / str(trial.number), ignore_errors=True)

    def _tell(self, figures: dict[str, float] | None = None) -> None:
        trials = self._study.report_all().trials
        done = sum(trial.state != "running" for trial in trials)
        share = (done + sum(running.share for running in self._running.values())) / self._budget.trials
        if self._budget.time_s is not None:
            share = max(share, self._seconds / self._budget.time_s)
        pruned = sum(trial.state == "pruned" for trial in trials)
        self._progress.report(int(_SHARES * min(share, 1.0)), _SHARES, {"trials": done, "pruned": pruned, **(figures or {})})


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _read_seconds(folder: Path) -> float:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return float(json.loads((folder / "seconds.json").read_text(encoding="ascii")))
    except (OSError, ValueError):
        return 0.0
