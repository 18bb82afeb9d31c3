"""Files become a dataset version."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from hanlin.control.job_kinds import Ingest
from hanlin.datasets import DatasetReport, ReadOptions, SourceFile, ingest
from hanlin.errors import NotFound
from hanlin.pipelines.base import PIPELINES, JobContext
from hanlin.pipelines.data import fetch_files
from hanlin.storage.durable import write_atomically
from hanlin.storage.manifest import pack_folder
from hanlin.tasks.base import TASKS
from hanlin.tasks.label_change import label_change
from hanlin.types import JsonObject, utc_now

_MEGABYTE = 1_000_000


@PIPELINES.register("ingest")
class IngestPipeline:
    """Reads, checks, splits and stores. The same rows again answer the version that has them."""

    def run(self, context: JobContext, config: JsonObject) -> JsonObject:
        """See `Pipeline`."""
        asked = Ingest.model_validate(config)
        began_at = _began_at(context.workdir)
        out = context.workdir / "dataset"
        shutil.rmtree(out, ignore_errors=True)  # of a killed attempt: a read begins anew
        paths = fetch_files(context, asked.files, context.workdir / "files")
        source = [SourceFile(file.path, path) for file, path in zip(asked.files, paths, strict=True)]
        context.progress.message("reading_files", files=len(source))

        def report(done: int, total: int) -> None:
            context.progress.check_cancelled()
            of = max(1, total // _MEGABYTE)
            context.progress.report(of if done >= total else min(of, done // _MEGABYTE), of, {})

        found = ingest(source, task=TASKS.get(asked.task), options=ReadOptions.from_json(asked.options), out=out, progress=report)
        manifest = pack_folder(out, context.platform.blobs)
        version = context.platform.registry.create_dataset_version(
            context.job.team_id, asked.dataset, asked.task, manifest, _with_label_change(context, asked.dataset, found)
        )
        shutil.rmtree(context.workdir, ignore_errors=True)
        is_reused = version.created_at < began_at
        return {
            "dataset": version.name, "version": version.number, "digest": version.digest, "report": version.report, "reused": is_reused,
        }  # fmt: skip


def _began_at(workdir: Path) -> datetime:
    """When the job's first attempt began: what was stored since, the job stored itself, perhaps in an attempt that was killed."""
    mark = workdir / "began"
    if not mark.exists():
        write_atomically(mark, utc_now().isoformat().encode())
    return datetime.fromisoformat(mark.read_text())


def _with_label_change(context: JobContext, name: str, found: DatasetReport) -> JsonObject:
    """The report, with a warning where the labels are not those of the dataset's version before this one."""
    report = found.to_json()
    try:
        former = context.platform.registry.resolve_dataset(context.job.team_id, name)
    except NotFound:
        return report
    before = former.report.get("labels")
    change = label_change(str(former), list(before) if isinstance(before, dict) else [], [label for label, _ in found.labels])
    warnings = report["warnings"]
    if change is not None and isinstance(warnings, list):
        warnings.append(change.to_json())
    return report
