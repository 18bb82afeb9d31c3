"""Trainings with other options are tried, and the best becomes a model version: search → evaluate → register → certify → publish.

All but the search is the training's own. Trials are given the training and the validation rows; the test rows are read once, for
the best. A killed job goes on with its study: finished trials stay, those that ran go on from their checkpoints.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

from hanlin.control.job_kinds import Tune
from hanlin.datasets import StoredSplit
from hanlin.pipelines.base import PIPELINES, JobContext
from hanlin.pipelines.data import dataset_folder
from hanlin.pipelines.lineage import fingerprint
from hanlin.pipelines.train import Training
from hanlin.registry.values import ModelVersion
from hanlin.storage.manifest import Manifest, materialize
from hanlin.tasks.labelled import problem_of, read_gold
from hanlin.tasks.spec import Problem
from hanlin.training.option_rules import CLASSIFYING
from hanlin.training.search.report import SearchReport
from hanlin.training.search.space import Space
from hanlin.types import JsonObject

_SHOW_S = 2.0  # the study so far is written beside the running job this often at most


@PIPELINES.register("tune")
class TunePipeline:
    """Searches the options of a training, then goes the way of a training."""

    def run(self, context: JobContext, config: JsonObject) -> JsonObject:
        """See `Pipeline`."""
        return _Tuning(context, Tune.model_validate(config)).run()


class _Tuning(Training):
    """One search."""

    def __init__(self, context: JobContext, asked: Tune) -> None:
        super().__init__(context, asked)
        self.search_asked = asked
        self.parallel = min(asked.parallel, asked.trials)
        self.threads = max(1, context.threads // self.parallel)
        fixed: JsonObject = {"threads": self.threads, **asked.options, "seed": asked.seed}
        self.space = Space.from_json(asked.space, fixed=fixed, model=self.config.model, task=asked.task, problem=self._problem())
        self.fingerprint = fingerprint(
            "tune", self.fingerprint, self.space.to_json(), fixed, asked.trials, asked.time_s, self.parallel, asked.pruner
        )
        self._shown_at_s = 0.0

    def _problem(self) -> Problem | Literal[""]:
        """What the labels of a classification are; a space that is asked for needs not to know."""
        if self.search_asked.space is not None or self.search_asked.task not in CLASSIFYING:
            return ""
        rows = StoredSplit.of(dataset_folder(self.context, self.dataset), "train")
        return problem_of([read_gold(annotation) for annotation in rows.labels])

    def learn(self) -> JsonObject:
        """The study, to its end; the best trial's training report with the study beside it."""
        from hanlin.training.search.search import Budget, Search
        from hanlin.training.search.study import Study

        asked, folder = self.search_asked, self.context.workdir
        self.context.progress.message(
            "searching_options", options=", ".join(self.space.options), trials=asked.trials, parallel=self.parallel
        )
        study = Study(
            folder / "study.sqlite", self.space, metric=self.config.metric, seed=asked.seed, pruner=asked.pruner, request=self.fingerprint
        )
        found = Search(
            study, self._brief(), folder / "trials", budget=Budget(asked.trials, asked.time_s), parallel=self.parallel,
            threads=self.threads, progress=self.context.progress, on_change=self._show,
        ).run()  # fmt: skip
        study.close()
        assert found.best is not None
        best = folder / "trials" / str(found.best.number)
        shutil.rmtree(self.artifact, ignore_errors=True)
        shutil.copytree(best / "out", self.artifact)
        report: JsonObject = json.loads((best / "report.json").read_text(encoding="utf-8"))
        return report | {"study": found.to_json()}

    def more_pictures(self, trained: JsonObject) -> dict[str, Callable[[str], str]]:
        """The study's history, and what mattered."""
        from hanlin.training.search.pictures import history_svg, importance_svg

        found = SearchReport.from_json(cast("JsonObject", trained["study"]))
        return {
            "trials": lambda language: history_svg(found, language=language),
            "importance": lambda language: importance_svg(found, language=language),
        }

    def more_lineage(self, trained: JsonObject) -> JsonObject:
        """The study: its space and every trial."""
        return {"study": trained["study"]}

    def result(self, version: ModelVersion, *, is_reused: bool) -> JsonObject:
        """The version, and the study that led to it."""
        return super().result(version, is_reused=is_reused) | {"study": version.lineage["study"]}

    def _brief(self) -> JsonObject:
        """What trials train on: files, by paths. Of the rows they get all but the test's."""
        kept = tuple(file for file in self.dataset.manifest.files if not file.path.startswith("test."))
        rows = materialize(Manifest(kept), self.context.platform.blobs, self.context.workdir / "rows")
        files: dict[str, Path | None] = {"base": self.base(), **self.starts()}
        return {"rows": str(rows), **{name: str(path) if path else None for name, path in files.items()}}

    def _show(self, found: SearchReport) -> None:
        """The trials so far, for whoever looks at the running job."""
        if time.monotonic() - self._shown_at_s >= _SHOW_S:
            self._shown_at_s = time.monotonic()
            self.context.platform.jobs.keep_result(self.context.job, {"study": found.to_json()})
