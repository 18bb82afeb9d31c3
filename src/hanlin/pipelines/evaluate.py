"""A model version is measured on a dataset's test rows."""

from __future__ import annotations

from hanlin.control.job_kinds import Evaluate
from hanlin.datasets import read_split
from hanlin.errors import Conflict
from hanlin.pipelines.base import PIPELINES, JobContext
from hanlin.pipelines.data import dataset_folder, dataset_of
from hanlin.types import JsonObject, ModelRef


@PIPELINES.register("evaluate")
class EvaluatePipeline:
    """The task's own metrics of the trained model (torch, fp32)."""

    def run(self, context: JobContext, config: JsonObject) -> JsonObject:
        """See `Pipeline`."""
        from hanlin.training.evaluation import evaluate

        asked = Evaluate.model_validate(config)
        version = context.platform.registry.resolve(context.job.team_id, ModelRef.parse(asked.model))
        if version.is_base:
            raise Conflict("base_has_no_head", version=str(version))
        dataset = dataset_of(context, version, asked.dataset)
        folder = context.platform.registry.materialize(version, context.platform.artifact_cache, variants=())
        test = read_split(dataset_folder(context, dataset), "test")
        context.progress.message("evaluating_version", version=str(version), rows=len(test), dataset=str(dataset))
        found = evaluate(folder, test, threads=context.threads, progress=context.progress)
        return {"model": version.model, "version": version.number, "dataset": str(dataset), "metrics": found.to_json()}
