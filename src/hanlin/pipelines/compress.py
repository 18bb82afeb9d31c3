"""Variants of a version are made and measured, the best within the budget is certified and chosen.

The version itself is never touched: variants are rows beside it. A variant that was made before by the same code keeps
its bytes and is measured again, so what is deployed and certified stays what it is.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

from hanlin.compression.judge import MAX_KL, Bounds
from hanlin.control.job_kinds import Compress
from hanlin.engines import reference_in
from hanlin.errors import Conflict
from hanlin.messages.said import Said
from hanlin.pipelines.base import PIPELINES, JobContext
from hanlin.pipelines.certification import certify
from hanlin.pipelines.data import dataset_folder, dataset_of
from hanlin.pipelines.judging_rows import JudgingRows, dataset_rows, made_rows
from hanlin.pipelines.lineage import code_version, fingerprint, machine
from hanlin.pipelines.pictures import write_pictures
from hanlin.pipelines.publication import publish_once, refreshed
from hanlin.pipelines.task_exams import TaskRows
from hanlin.registry.values import ModelVersion, Variant
from hanlin.storage.manifest import Manifest, materialize, pack_folder
from hanlin.tasks.base import TASKS, WRITING_HEADS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.types import JsonObject, JsonValue, ModelRef


@PIPELINES.register("compress")
class CompressPipeline:
    """search → register → certify → choose → publish. A choice whose certificate fails is passed over for the next best."""

    def run(self, context: JobContext, config: JsonObject) -> JsonObject:
        """See `Pipeline`."""
        return _Compressing(context, Compress.model_validate(config)).run()


class _Compressing:
    """One compression job."""

    def __init__(self, context: JobContext, asked: Compress) -> None:
        from hanlin.engines import measured_unasked

        registry = context.platform.registry
        self.context = context
        self.asked = asked
        self.registry = registry
        self.version: ModelVersion = registry.resolve(context.job.team_id, ModelRef.parse(asked.model))
        if self.version.is_base:
            raise Conflict("base_has_no_head", version=str(self.version))
        self.dataset = dataset_of(context, self.version, asked.dataset) if asked.dataset or self.version.lineage.get("dataset") else None
        self.names = asked.variants or measured_unasked(writes=_writes(self.version))
        self.most = asked.rows or context.platform.settings.compression_rows  # a job that was queued before has none
        self.task_rows = TaskRows.of(context, self.version, asked)
        self.made = context.workdir / "made"
        names: list[JsonValue] = [*sorted(self.names)]
        self.fingerprint = fingerprint(
            "compress",
            self.version.digest,
            self.dataset.digest if self.dataset else None,
            asked.budget,
            asked.max_kl,
            asked.min_greedy_agreement,
            asked.target,
            self.most,
            names,
            machine(),
            context.threads,
            *self._task_parts(),
        )

    def _task_parts(self) -> list[JsonValue]:
        """What of the task that is asked besides makes this compression another."""
        if self.task_rows is None:
            return []
        asked = self.task_rows.asked
        return [asked.version.digest, asked.dataset.digest, self.task_rows.rows, self.asked.task_budget]

    def run(self) -> JsonObject:
        """All steps; the job's result."""
        if not self.asked.force and (found := self._find_twin()) is not None:
            return found
        report = self.context.step("search", self._search)
        chosen = str(report["chosen"])
        while refused := self._refusal(report, chosen):
            self.context.progress.message("choice_passed_over", variant=chosen, reason=refused)
            report = _passed_over(report, chosen, refused)
            chosen = str(report["chosen"])
        self.registry.choose_variant(self.version, chosen)
        if self.asked.publish:
            publish_once(self.context, refreshed(self.context, self.version))
        result = self._result(chosen, report, is_reused=False)
        shutil.rmtree(self.context.workdir, ignore_errors=True)
        return result

    def _refusal(self, report: JsonObject, name: str) -> Said | None:
        """Registers and certifies a choice; why its certificate failed, or None. The trained model itself must pass."""
        self.context.step(f"register-{name}", lambda: self._register(report, name))
        if self.registry.is_certified(self.version, name):
            return None
        return Said.from_json(self.context.step(f"certify-{name}", lambda: self._certify(name)).get("problem"))

    def _certify(self, name: str) -> JsonObject:
        try:
            certify(self.context, self.version, name, dataset=self.dataset, task_rows=self.task_rows)
        except Conflict as error:
            if error.code != "certificate_failed" or name == reference_in(self.version.lineage):
                raise
            return {"problem": Said(error.code, error.params).to_json()}
        return {}

    def _find_twin(self) -> JsonObject | None:
        """The result of the very same request, if its choice still stands."""
        for item in self.registry.list_variants(self.version):
            report = item.evidence.get("report")
            is_same = item.evidence.get("fingerprint") == self.fingerprint
            if item.is_chosen and is_same and isinstance(report, dict) and self.registry.is_certified(self.version, item.variant):
                return self._result(item.variant, report, is_reused=True)
        return None

    def _search(self) -> JsonObject:
        from hanlin.compression.search import search

        folder = self.registry.materialize(self.version, self.context.platform.artifact_cache, variants=())
        self._lay_out_made()
        spec = ModelSpec.load(folder)
        rows = self._rows(spec, TextEncoder.load(folder))
        self.context.progress.message("searching", variants=", ".join(self.names), version=str(self.version))
        found = search(
            folder, spec=spec, validation=rows.validation, test=rows.test, calibration=rows.calibration,
            bounds=self._bounds(rows), target=self.asked.target, variants=self.names, threads=self.context.threads,
            progress=self.context.progress, out=self.made, max_batch_tokens=self.context.platform.settings.max_batch_tokens, more=rows.more,
            writing=rows.writing, pythons=self.context.platform.settings.pythons,
            memory_share=self.context.platform.settings.vllm_memory_share,
            exam=self.task_rows.exam(self.context, "validation") if self.task_rows else None,
        )  # fmt: skip
        return found.to_json()

    def _bounds(self, rows: JudgingRows) -> Bounds:
        """As asked; where texts are read and nothing is said of it, the mean divergence is bounded all the same."""
        is_read = rows.writing is not None and rows.writing.reads
        max_kl = MAX_KL if is_read and self.asked.max_kl is None else self.asked.max_kl
        return Bounds(self.asked.budget, max_kl, self.asked.min_greedy_agreement, self.asked.task_budget)

    def _rows(self, spec: ModelSpec, encoder: TextEncoder) -> JudgingRows:
        """The dataset's rows; made sentences where there is no dataset."""
        if self.dataset is None:
            self.context.progress.message("judging_on_made_texts")
            return made_rows(spec, encoder, most=self.most)
        return dataset_rows(dataset_folder(self.context, self.dataset), self.dataset, spec, encoder, most=self.most)

    def _lay_out_made(self) -> None:
        """Files of variants that this very code has made before are taken, not made anew."""
        self.made.mkdir(exist_ok=True)
        for item in self.registry.list_variants(self.version):
            if item.manifest is None or item.evidence.get("code_version") != code_version():
                continue
            aside = self.context.workdir / "known" / item.variant
            materialize(item.manifest.within("variants"), self.context.platform.blobs, aside)
            shutil.copytree(aside, self.made, dirs_exist_ok=True)

    def _register(self, report: JsonObject, chosen: str) -> JsonObject:
        """A row of evidence for every variant; files for the chosen one, and for the others where they are kept."""
        before = {item.variant: item for item in self.registry.list_variants(self.version)}
        rows = report["variants"]
        assert isinstance(rows, list)
        bounds = {name: report.get(name) for name in ("budget", "max_kl", "min_greedy_agreement")}
        for row in rows:
            assert isinstance(row, dict)
            name = str(row["variant"])
            files = self._files(row, name, is_kept=name == chosen or self.asked.keep_losers or _has_files(before.get(name)))
            if name != chosen and self._would_lose_certificate(before.get(name), files):
                continue
            if name == chosen:
                files = (files or Manifest(())).merge(self._draw(report))
            evidence = {**row, "code_version": code_version(), **bounds, "target": self.asked.target}
            evidence |= {"report": report, "fingerprint": self.fingerprint} if name == chosen else {}
            self.registry.add_variant(self.version, name, files, evidence, is_chosen=before[name].is_chosen if name in before else False)
        return {}

    def _files(self, row: JsonObject, name: str, *, is_kept: bool) -> Manifest | None:
        from hanlin.engines import variant_files

        paths = variant_files(name)
        if not is_kept or not paths or not all((self.made / path).is_file() for path in paths):
            return None
        return pack_folder(self.made, self.context.platform.blobs, only=paths)

    def _would_lose_certificate(self, before: Variant | None, files: Manifest | None) -> bool:
        if before is None or not _has_files(before) or not self.registry.is_certified(self.version, before.variant):
            return False
        assert before.manifest is not None
        return files is None or files.digest != before.manifest.within("variants").digest

    def _draw(self, report: JsonObject) -> Manifest:
        from hanlin.compression.pictures import pareto_svg
        from hanlin.compression.report import CompressionReport

        pictures = self.context.workdir / "drawn" / "pictures"
        drawn = CompressionReport.from_json(report)
        write_pictures(pictures, {"pareto": lambda language: pareto_svg(drawn, language=language)})
        return pack_folder(pictures.parent, self.context.platform.blobs)

    def _result(self, chosen: str, report: JsonObject, *, is_reused: bool) -> JsonObject:
        found = next((item for item in self.registry.list_certificates(self.version) if item.variant == chosen), None)
        return {
            "model": self.version.model, "version": self.version.number, "state": refreshed(self.context, self.version).state,
            "chosen": chosen, "report": report, "certificate": found.report if found else None, "reused": is_reused,
        }  # fmt: skip


def _passed_over(report: JsonObject, name: str, reason: Said) -> JsonObject:
    """The report without a choice whose certificate failed: the next best stands in its place."""
    from hanlin.compression.choice import choose
    from hanlin.compression.report import CompressionReport

    found = CompressionReport.from_json(report)
    rows = tuple(replace(row, status="failed", reason=reason) if row.variant == name else row for row in found.variants)
    return replace(found, variants=rows, chosen=choose(rows, found.target, reference=found.reference)).to_json()


def _has_files(item: Variant | None) -> bool:
    return item is not None and item.manifest is not None and bool(item.manifest.within("variants").files)


def _writes(version: ModelVersion) -> bool:
    """Whether its network writes: by its task, or because it is asked for its task."""
    return TASKS.get(version.task).head in WRITING_HEADS or "prompt" in version.lineage
