"""Versions that are adapters, where they are made: what stands below them, and what their lineage says."""

from __future__ import annotations

import shutil
from pathlib import Path

from hanlin.networks.adapter import AdapterSettings, is_adapter
from hanlin.pipelines.base import JobContext
from hanlin.registry.values import ModelVersion
from hanlin.types import JsonObject


def whole_base(context: JobContext, version: ModelVersion) -> Path:
    """The folder of a version to stand on; of one that is an adapter itself, with its matrices taken into the weights."""
    folder = context.platform.registry.materialize(version, context.platform.artifact_cache, variants=())
    if not is_adapter(folder):
        return folder
    from hanlin.networks.loading import write_merged

    merged = context.workdir / "base"
    shutil.rmtree(merged, ignore_errors=True)
    return write_merged(folder, merged)


def adapter_of(folder: Path) -> JsonObject:
    """What the lineage says of a version that is an adapter; nothing of others."""
    if not is_adapter(folder):
        return {}
    found = AdapterSettings.load(folder)
    return {"adapter": {"rank": found.rank, "alpha": found.alpha, "targets": [*found.targets]}}
