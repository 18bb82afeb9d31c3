"""A variant of a version is certified (again)."""

from __future__ import annotations

from hanlin.control.job_kinds import Certify
from hanlin.engines import reference_in
from hanlin.errors import Conflict
from hanlin.pipelines.base import PIPELINES, JobContext
from hanlin.pipelines.certification import certify
from hanlin.pipelines.data import dataset_of
from hanlin.pipelines.task_exams import TaskRows
from hanlin.types import JsonObject, ModelRef


@PIPELINES.register("certify")
class CertifyPipeline:
    """Publishes nothing: a version that becomes certified by it can be published by hand."""

    def run(self, context: JobContext, config: JsonObject) -> JsonObject:
        """See `Pipeline`."""
        asked = Certify.model_validate(config)
        registry, team = context.platform.registry, context.job.team_id
        version = registry.resolve(team, ModelRef.parse(asked.model))
        if version.is_base:
            raise Conflict("base_has_no_head", version=str(version))
        variant = asked.variant or next((item.variant for item in registry.list_variants(version)), reference_in(version.lineage))
        dataset = dataset_of(context, version, asked.dataset) if asked.dataset or version.lineage.get("dataset") else None
        task_rows = TaskRows.of(context, version, asked)
        report = certify(context, version, variant, dataset=dataset, rows=asked.rows, task_rows=task_rows)
        return {"model": version.model, "version": version.number, "variant": variant, "certificate": report}
