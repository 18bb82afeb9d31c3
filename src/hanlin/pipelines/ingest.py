"""Files become a dataset version."""

from __future__ import annotations

import shutil

from hanlin.control.job_kinds import Ingest
from hanlin.datasets import ReadOptions, SourceFile, ingest
from hanlin.pipelines.base import PIPELINES, JobContext
from hanlin.pipelines.data import fetch_files
from hanlin.storage.manifest import pack_folder
from hanlin.tasks.base import TASKS
from hanlin.types import JsonObject

_MEGABYTE = 1_000_000


@PIPELINES.register("ingest")
class IngestPipeline:
    """Reads, checks, splits and stores. The same rows again answer the version that has them."""

    def run(self, context: JobContext, config: JsonObject) -> JsonObject:
        """See `Pipeline`."""
        asked = Ingest.model_validate(config)
        out = context.workdir / "dataset"
        shutil.rmtree(out, ignore_errors=True)  # of a killed attempt: a read begins anew
        paths = fetch_files(context, asked.files, context.workdir / "files")
        source = [SourceFile(file.path, path) for file, path in zip(asked.files, paths, strict=True)]
        context.progress.message("reading_files", files=len(source))

        def report(done: int, total: int) -> None:
            context.progress.check_cancelled()
            context.progress.report(done // _MEGABYTE, max(1, total // _MEGABYTE), {})

        found = ingest(source, task=TASKS.get(asked.task), options=ReadOptions.from_json(asked.options), out=out, progress=report)
        manifest = pack_folder(out, context.platform.blobs)
        version = context.platform.registry.create_dataset_version(
            context.job.team_id, asked.dataset, asked.task, manifest, found.to_json()
        )
        shutil.rmtree(context.workdir, ignore_errors=True)
        is_reused = version.created_at < context.job.created_at  # the version was there before anybody asked
        return {
            "dataset": version.name, "version": version.number, "digest": version.digest, "report": version.report, "reused": is_reused,
        }  # fmt: skip
