"""A dataset version becomes a model version: train → evaluate → register → certify → publish.

Every step is recorded in the job's folder; a killed job goes on behind the last one, training itself from its newest
checkpoint. A version is made at most once per job, whatever is killed between the steps.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from hanlin.control.job_kinds import FileItem, Train
from hanlin.datasets import Split, read_labels, read_split, training_rows
from hanlin.engines import REFERENCE
from hanlin.pipelines.adapters import adapter_of, whole_base
from hanlin.pipelines.base import PIPELINES, JobContext
from hanlin.pipelines.data import dataset_folder, fetch_files
from hanlin.pipelines.lineage import code_version, fingerprint, machine, starts_of
from hanlin.pipelines.pictures import write_pictures
from hanlin.pipelines.publication import certify_and_publish, version_result
from hanlin.registry.values import DatasetVersion, ModelVersion
from hanlin.storage.manifest import pack_folder
from hanlin.tasks.base import TASKS
from hanlin.tasks.spec import ModelSpec
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.option_rules import SCRATCH_MODELS
from hanlin.types import JsonObject, JsonValue, ModelRef

_FIGURES = ("steps", "best", "network_best", "best_step", "precision", "threads", "seconds", "tokens_per_s")


@PIPELINES.register("train")
class TrainPipeline:
    """Trains one of our own networks, or fine-tunes a base."""

    def run(self, context: JobContext, config: JsonObject) -> JsonObject:
        """See `Pipeline`."""
        return Training(context, Train.model_validate(config)).run()


class Training:
    """One job that makes a version from rows; `tune.py` finds its options first."""

    def __init__(self, context: JobContext, asked: Train) -> None:
        registry, team = context.platform.registry, context.job.team_id
        self.context = context
        self.asked = asked
        self.dataset: DatasetVersion = registry.resolve_dataset(team, asked.dataset)
        is_scratch = asked.model in SCRATCH_MODELS
        self.parent: ModelVersion | None = None if is_scratch else registry.resolve(team, ModelRef.parse(asked.model))
        self.config = TrainConfig.from_json(
            {**asked.options, "seed": asked.seed}, model=asked.model if is_scratch else "base", task=asked.task
        )
        self.artifact = context.workdir / "artifact"
        parent = self.parent.digest if self.parent else asked.model
        vectors = asked.vectors or asked.raw_text
        start = vectors.sha256 if vectors else None
        self.fingerprint = fingerprint("train", asked.name, self.dataset.digest, parent, self.config.to_json(), start)

    def run(self) -> JsonObject:
        """All steps; the job's result."""
        if (found := self._find_twin()) is not None:
            return self.result(found, is_reused=True)
        version = self.make()
        result = self.result(version, is_reused=False)
        shutil.rmtree(self.context.workdir, ignore_errors=True)
        return result

    def make(self) -> ModelVersion:
        """The version, all steps but those behind it."""
        self.context.step("train", self._train)
        evaluated = self.context.step("evaluate", self._evaluate)
        version = self._register(evaluated)
        if self.asked.publish:
            version = certify_and_publish(self.context, version, REFERENCE, dataset=self.dataset)
        return version

    def result(self, version: ModelVersion, *, is_reused: bool) -> JsonObject:
        """The job's result."""
        return version_result(self.context, version, is_reused=is_reused)

    def _find_twin(self) -> ModelVersion | None:
        """A version that the very same request has made before."""
        found = self.context.platform.registry.find_by_request(self.context.job.team_id, self.asked.name, self.fingerprint)
        if found is None or self.asked.force or found.job_id == self.context.job.id:
            return None
        return found if found.state == "published" or not self.asked.publish else None

    def _train(self) -> JsonObject:
        report = self.learn()
        note_language(self.artifact, self.dataset.report.get("language"))
        return report

    def learn(self) -> JsonObject:
        """The artifact folder, made from the training and the validation rows; the training's report."""
        from hanlin.training.examples import TrainData
        from hanlin.training.train import train

        folder = dataset_folder(self.context, self.dataset)
        rows, validation = (training_rows(folder, split, is_streamed=self.config.is_streamed) for split in ("train", "validation"))
        data = TrainData(rows, validation, read_labels(folder))
        self.context.progress.message("training_on", rows=len(rows), validation=len(validation))
        report = train(
            self.config, data, base=self.base(), **self.starts(), out=self.artifact, progress=self.context.progress,
            checkpoints=FolderCheckpoints(self.context.workdir / "checkpoints"),
        )  # fmt: skip
        return report.to_json()

    def base(self) -> Path | None:
        """The weights to fine-tune."""
        if self.parent is None:
            return None
        return whole_base(self.context, self.parent)

    def starts(self) -> dict[str, Path | None]:
        """The files that the embeddings start from: `vectors` and `raw_text`."""
        return {"vectors": self._file(self.asked.vectors, "vectors"), "raw_text": self._file(self.asked.raw_text, "raw-text")}

    def _file(self, file: FileItem | None, folder: str) -> Path | None:
        return None if file is None else fetch_files(self.context, [file], self.context.workdir / folder)[0]

    def _evaluate(self) -> JsonObject:
        """Reads the test rows, this once, and draws the pictures."""
        from hanlin.training.evaluation import evaluate
        from hanlin.training.lesson import LESSONS
        from hanlin.training.pictures import curve_svg
        from hanlin.training.state import Point

        test: Split = read_split(dataset_folder(self.context, self.dataset), "test")
        self.context.progress.message("evaluating_on", rows=len(test))
        found = evaluate(self.artifact, test, threads=self.context.threads)
        pictures = self.artifact / "pictures"
        shutil.rmtree(pictures, ignore_errors=True)
        trained = self.trained()
        history = [Point(**point) for point in cast("list[dict[str, Any]]", trained["history"])]
        metric = str(cast("JsonObject", trained["config"])["metric"])
        write_pictures(
            pictures,
            {
                **LESSONS.get(self.asked.task).pictures(found),
                "curve": lambda language: curve_svg(history, metric=metric, kept=cast("int", trained["best_step"]), language=language),
                **self.more_pictures(trained),
            },
        )
        return found.to_json()

    def trained(self) -> JsonObject:
        """What the step `train` recorded."""
        found: JsonObject = json.loads((self.context.workdir / "steps" / "train.json").read_text(encoding="utf-8"))
        return found

    def more_pictures(self, trained: JsonObject) -> dict[str, Callable[[str], str]]:
        """Drawings beside those of every training."""
        return {}

    def more_lineage(self, trained: JsonObject) -> JsonObject:
        """What the lineage says besides."""
        return {}

    def _register(self, metrics: JsonObject) -> ModelVersion:
        """The candidate; asking again gives the one that this job made."""
        registry = self.context.platform.registry
        spec = ModelSpec.load(self.artifact)
        trained = self.trained()
        lineage: JsonObject = {
            "dataset": str(self.dataset), "dataset_digest": self.dataset.digest, "parent": str(self.parent) if self.parent else None,
            "parent_digest": self.parent.digest if self.parent else None, "model": self.asked.model, "config": trained["config"],
            "seed": self.asked.seed, "code_version": code_version(), "job": self.context.job.id, "machine": machine(),
            **starts_of(self.asked), **adapter_of(self.artifact), "languages": [*spec.languages],
            "training": {**{name: trained[name] for name in _FIGURES}, "validation": _best_figures(trained)}, **self.more_lineage(trained),
        }  # fmt: skip
        manifest = pack_folder(self.artifact, self.context.platform.blobs)
        version = registry.create_version(
            self.context.job.team_id, self.asked.name, self.asked.task, manifest=manifest, lineage=lineage, metrics=metrics,
            labels=spec.labels, fingerprint=self.fingerprint, job_id=self.context.job.id,
        )  # fmt: skip
        registry.add_variant(
            version, REFERENCE, None, {"status": "ok", "test": {"metric": metrics.get(self._main_metric())}}, is_chosen=True
        )
        return version

    def _main_metric(self) -> str:
        return TASKS.get(self.asked.task).main_metric


def _best_figures(trained: JsonObject) -> JsonObject:
    """All figures of the validation rows at the step whose weights were kept."""
    points = cast("list[JsonObject]", trained["history"])
    found = next((point["validation"] for point in points if point["step"] == trained["best_step"] and point["validation"]), {})
    return cast("JsonObject", found)


def note_language(folder: Path, found: JsonValue) -> None:
    """The model speaks the language of its rows, where that was found out and its base says nothing of its own."""
    spec = ModelSpec.load(folder)
    if not spec.languages and isinstance(found, str) and found not in {"", "und"}:
        replace(spec, languages=(found,)).save(folder)
