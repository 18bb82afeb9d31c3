"""The end of the road that training, importing and compressing share: certificate, publication, result."""

from __future__ import annotations

from hanlin.errors import Conflict
from hanlin.pipelines.base import JobContext
from hanlin.pipelines.certification import certify
from hanlin.registry.values import DatasetVersion, ModelVersion
from hanlin.types import JsonObject, ModelRef


def certify_and_publish(context: JobContext, version: ModelVersion, variant: str, *, dataset: DatasetVersion | None) -> ModelVersion:
    """Certifies `variant` and publishes the version, each once. Raises Conflict (`certificate_failed`)."""
    context.step(f"certify-{variant}", lambda: certify(context, version, variant, dataset=dataset))
    return publish_once(context, version)


def publish_once(context: JobContext, version: ModelVersion) -> ModelVersion:
    """Publishes the version; one that an earlier attempt (or somebody else) has published stays as it is."""
    registry = context.platform.registry
    try:
        return registry.publish(version, actor=context.actor)
    except Conflict as error:
        if error.code != "already_published":
            raise
    return refreshed(context, version)


def refreshed(context: JobContext, version: ModelVersion) -> ModelVersion:
    """The version as it is now."""
    return context.platform.registry.resolve(version.team_id, ModelRef(version.model, version=version.number))


def version_result(context: JobContext, version: ModelVersion, *, is_reused: bool) -> JsonObject:
    """The job's result for a version it made or found."""
    certificates = context.platform.registry.list_certificates(version)
    return {
        "model": version.model, "version": version.number, "state": version.state, "metrics": version.metrics, "reused": is_reused,
        "certificate": certificates[0].report if certificates else None,
    }  # fmt: skip
