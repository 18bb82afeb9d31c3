"""A version's own dataset is found by name and rows: one that was deleted and made anew with other rows is not it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.control.platform import Platform
from hanlin.errors import Conflict, NotFound
from hanlin.pipelines.data import dataset_of
from hanlin.registry.values import ModelVersion
from hanlin.storage.manifest import Manifest, ManifestFile
from hanlin.types import JsonObject

TASK = "text-classification"


def version_of(platform: Platform, lineage: JsonObject) -> ModelVersion:
    return platform.registry.create_version(DEFAULT_TEAM, "mood", TASK, manifest=Manifest(()), lineage=lineage, metrics={}, labels=())


def test_the_dataset_of_a_version(platform: Platform) -> None:
    def rows(content: bytes) -> Manifest:
        return Manifest((ManifestFile("train.parquet", platform.blobs.put(content), len(content)),))

    context = SimpleNamespace(platform=platform, job=SimpleNamespace(team_id=DEFAULT_TEAM))
    registry = platform.registry
    first = registry.create_dataset_version(DEFAULT_TEAM, "reviews", TASK, rows(b"first"), {})
    named: JsonObject = {"dataset": "reviews:1", "dataset_digest": first.digest}
    version = version_of(platform, named)
    assert dataset_of(context, version, None) == first  # type: ignore[arg-type]
    registry.delete_dataset(DEFAULT_TEAM, "reviews", is_forced=True)
    with pytest.raises(NotFound, match=r"'reviews:1' of mood:1 was deleted .*--dataset"):
        dataset_of(context, version, None)  # type: ignore[arg-type]
    other = registry.create_dataset_version(DEFAULT_TEAM, "reviews", TASK, rows(b"other"), {})
    with pytest.raises(NotFound, match="was deleted"):
        dataset_of(context, version, None)  # type: ignore[arg-type]
    assert dataset_of(context, version, "reviews:1") == other, "asked for by name"  # type: ignore[arg-type]
    assert dataset_of(context, version_of(platform, {"dataset": "reviews:1"}), None) == other  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        dataset_of(context, version_of(platform, {}), None)  # type: ignore[arg-type]
