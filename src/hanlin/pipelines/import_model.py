"""An uploaded model folder becomes a model version: check → evaluate → register → certify → publish."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

from hanlin.control.job_kinds import Import
from hanlin.datasets import read_split
from hanlin.engines import reference_in
from hanlin.engines.constraints import Constraints
from hanlin.errors import InvalidInput
from hanlin.messages.said import Said
from hanlin.networks.config import read_config
from hanlin.pipelines.adapters import adapter_of, whole_base
from hanlin.pipelines.base import PIPELINES, JobContext
from hanlin.pipelines.confined import guard_of
from hanlin.pipelines.data import dataset_folder, fetch_files
from hanlin.pipelines.lineage import code_version, fingerprint, machine
from hanlin.pipelines.pictures import write_pictures
from hanlin.pipelines.publication import certify_and_publish, publish_once, version_result
from hanlin.registry.values import DatasetVersion, ModelVersion
from hanlin.storage.manifest import pack_folder
from hanlin.tasks import TASKS
from hanlin.tasks.few_rows import stored
from hanlin.tasks.prompted_meanings import meaning_grammar
from hanlin.tasks.spec import FILE_NAME, ModelSpec
from hanlin.types import JsonObject, JsonValue, ModelRef


@PIPELINES.register("import")
class ImportPipeline:
    """Takes a Hugging Face folder, or one that we exported. Without a classification head it becomes a base, to be fine-tuned."""

    def run(self, context: JobContext, config: JsonObject) -> JsonObject:
        """See `Pipeline`."""
        return _Importing(context, Import.model_validate(config)).run()


def not_carried(asked: Import) -> list[JsonValue]:
    """Warnings of what a folder of ours held, or stood for, and an import does not carry."""
    paths = [file.path.split("/") for file in asked.files]
    num_variants = len({parts[1] for parts in paths if parts[0] == "variants" and len(parts) > 2})
    variants = Said("variants_not_imported", {"count": num_variants, "model": asked.name}) if num_variants else None
    return stored(variants, Said("lineage_not_imported") if [FILE_NAME] in paths else None)


def check_form(folder: Path, spec: ModelSpec) -> None:
    """Make the form that answers to this version's prompts are held to, so that it is no call that learns that there is none.

    Raises:
        InvalidInput: `constraint_refused`.
    """
    form = spec.prompt.grammar if spec.prompt else None
    if spec.prompt and spec.meanings:
        form = meaning_grammar(spec.meanings, "a")
    if form is None:
        return
    stops = (spec.generation.stop_ids if spec.generation else None) or ()
    num_tokens = cast("int", read_config(folder)["vocab_size"])
    constraints = Constraints(folder / "tokenizer.json", num_tokens=num_tokens, stop_ids=stops)
    try:
        constraints.form(form).result()
    finally:
        constraints.close()


class _Importing:
    """One import job."""

    def __init__(self, context: JobContext, asked: Import) -> None:
        self.context = context
        self.asked = asked
        self.artifact = context.workdir / "artifact"
        registry = context.platform.registry
        self.rows: DatasetVersion | None = registry.resolve_dataset(context.job.team_id, asked.rows) if asked.rows else None
        files: list[JsonValue] = [*sorted(f"{file.path} {file.sha256}" for file in asked.files)]
        labels: list[JsonValue] = list(asked.labels or [])
        self.base: ModelVersion | None = registry.resolve(context.job.team_id, ModelRef.parse(asked.base)) if asked.base else None
        parts = (files, self.rows.digest if self.rows else None, labels, *([self.base.digest] if self.base else []))
        self.fingerprint = fingerprint("import", asked.name, asked.task, *parts)

    def run(self) -> JsonObject:
        """All steps; the job's result."""
        registry, team = self.context.platform.registry, self.context.job.team_id
        found = registry.find_by_request(team, self.asked.name, self.fingerprint)
        if found is not None and found.job_id != self.context.job.id and (found.state == "published" or not self.asked.publish):
            return version_result(self.context, found, is_reused=True) | {"warnings": not_carried(self.asked)}
        taken = self.context.step("import", self._import)
        metrics = self.context.step("evaluate", lambda: self._evaluate(is_base=bool(taken["is_base"])))
        version = self._register(taken, metrics)
        if self.asked.publish:
            version = (
                publish_once(self.context, version)
                if version.is_base
                else certify_and_publish(self.context, version, reference_in(version.lineage), dataset=self.rows)
            )
        result = version_result(self.context, version, is_reused=False) | {"warnings": not_carried(self.asked)}
        shutil.rmtree(self.context.workdir, ignore_errors=True)
        return result

    def _import(self) -> JsonObject:
        from hanlin.models.importing import import_folder

        source = self.context.workdir / "source"
        fetch_files(self.context, self.asked.files, source)
        shutil.rmtree(self.artifact, ignore_errors=True)
        base = whole_base(self.context, self.base) if self.base else None
        found = import_folder(
            source, self.artifact, task=self.asked.task, labels=self.asked.labels, guard=guard_of(self.context.platform), base=base
        )
        check_form(self.artifact, found.spec)
        if found.is_pooling_assumed:
            self.context.progress.message("pooling_assumed")
        if found.template_problem:
            self.context.progress.message("chat_template_left_out", problem=found.template_problem)
        head = found.head.to_json() | {"is_assumed": found.is_pooling_assumed}
        return {"is_base": found.is_base, "num_parameters": found.num_parameters, "head": head}

    def _evaluate(self, *, is_base: bool) -> JsonObject:
        if is_base or self.rows is None or self.rows.task != self.asked.task or not TASKS.get(self.asked.task).examples.has_answers:
            return {}
        from hanlin.training.evaluation import evaluate
        from hanlin.training.lesson import LESSONS

        try:
            found = evaluate(self.artifact, read_split(dataset_folder(self.context, self.rows), "test"), threads=self.context.threads)
        except InvalidInput as error:
            if error.code != "not_judged":  # texts alone certify, and say nothing of quality
                raise
            return {}
        if self.asked.task in LESSONS.names():
            write_pictures(self.artifact / "pictures", LESSONS.get(self.asked.task).pictures(found))
        return found.to_json()

    def _register(self, taken: JsonObject, metrics: JsonObject) -> ModelVersion:
        registry = self.context.platform.registry
        spec = ModelSpec.load(self.artifact)
        lineage: JsonObject = {
            "source": "import", "num_parameters": taken["num_parameters"], "head": taken.get("head"),
            "reference": spec.reference or None, "dataset": str(self.rows) if self.rows else None,
            "dataset_digest": self.rows.digest if self.rows else None, "config": self.asked.model_dump(mode="json"),
            "code_version": code_version(), "job": self.context.job.id, "machine": machine(),
            **({"parent": str(self.base), "parent_digest": self.base.digest} if self.base else {}), **adapter_of(self.artifact),
            **({"prompt": True} if spec.prompt else {}),  # the form is in hanlin.json
        }  # fmt: skip
        version = registry.create_version(
            self.context.job.team_id, self.asked.name, self.asked.task, manifest=pack_folder(self.artifact, self.context.platform.blobs),
            lineage=lineage, metrics=metrics, labels=spec.labels, is_base=bool(taken["is_base"]), fingerprint=self.fingerprint,
            job_id=self.context.job.id,
        )  # fmt: skip
        if not version.is_base:
            registry.add_variant(version, reference_in(lineage), None, {"status": "ok"}, is_chosen=True)
        return version
