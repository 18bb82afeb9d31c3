"""Datasets: versions by their rows, what was made of them, and who keeps them from being deleted."""

from __future__ import annotations

import pytest

from hanlin.errors import Conflict, InvalidInput, NotFound
from hanlin.jobs import JobQueue
from hanlin.registry import Registry
from hanlin.registry.collect import collect_garbage
from hanlin.registry.values import DatasetVersion, ModelVersion
from hanlin.storage.database import Database
from hanlin.storage.manifest import Manifest, ManifestFile
from hanlin.types import JsonObject, TeamId

TEAM, OTHER = TeamId("default"), TeamId("other")
TASK = "text-classification"


def files(registry: Registry, name: str) -> Manifest:
    return Manifest((ManifestFile(name, registry.blobs.put(name.encode()), len(name)),))


def test_datasets(registry: Registry) -> None:
    one = registry.create_dataset_version(TEAM, "d", TASK, files(registry, "train.parquet"), {"rows_kept": 3})
    assert registry.create_dataset_version(TEAM, "d", TASK, one.manifest, {}) == one
    two = registry.create_dataset_version(TEAM, "d", TASK, files(registry, "other.parquet"), {})
    assert registry.resolve_dataset(TEAM, "d") == two
    assert registry.resolve_dataset(TEAM, "d:1") == one
    assert [version.number for version in registry.get_dataset(TEAM, "d").versions] == [2, 1]
    with pytest.raises(Conflict):
        registry.create_dataset_version(TEAM, "d", "another-task", one.manifest, {})
    for bad in ("d:", "d:x", "d:1:2", "../d", "d@a"):
        with pytest.raises(InvalidInput):
            registry.resolve_dataset(TEAM, bad)
    with pytest.raises(NotFound):
        registry.resolve_dataset(TEAM, "d:9")


def model_of(registry: Registry, dataset: DatasetVersion, name: str) -> ModelVersion:
    lineage: JsonObject = {"dataset": str(dataset), "dataset_digest": dataset.digest}
    return registry.create_version(TEAM, name, TASK, manifest=files(registry, name), lineage=lineage, metrics={}, labels=())


def test_a_dataset_stays_while_a_lineage_names_it_unless_forced(registry: Registry, database: Database) -> None:
    one = registry.create_dataset_version(TEAM, "d", TASK, files(registry, "one"), {})
    registry.create_dataset_version(TEAM, "d", TASK, files(registry, "two"), {})
    model_of(registry, one, "second")
    model_of(registry, one, "first")

    def refused(number: int | None) -> Conflict:
        with pytest.raises(Conflict) as caught:
            registry.delete_dataset(TEAM, "d", number)
        return caught.value

    assert refused(1).params == {"dataset": "d:1", "models": "first:1, second:1"}
    assert refused(None).code == "dataset_in_lineage"
    registry.delete_dataset(TEAM, "d", 2)
    assert collect_garbage(database, registry.blobs, grace_s=-60) == 1
    registry.delete_dataset(TEAM, "d", 1, is_forced=True)
    assert registry.get_dataset(TEAM, "d").versions == ()
    three = registry.create_dataset_version(TEAM, "d", TASK, files(registry, "three"), {})
    assert three.number == 3
    registry.delete_dataset(TEAM, "d", 3)
    registry.delete_dataset(TEAM, "d")
    with pytest.raises(NotFound):
        registry.get_dataset(TEAM, "d")
    anew = registry.create_dataset_version(TEAM, "d", TASK, files(registry, "others"), {})
    registry.delete_dataset(TEAM, "d", 1)  # the lineages name other rows
    registry.create_dataset_version(TEAM, "d", TASK, anew.manifest, {})
    registry.create_version(TEAM, "vague", TASK, manifest=anew.manifest, lineage={"dataset": "d:2"}, metrics={}, labels=())
    assert refused(2).params["models"] == "vague:1", "which rows is not known: it may be these"


def test_a_dataset_stays_while_a_job_needs_it(registry: Registry, database: Database) -> None:
    for name in ("a", "b"):
        registry.create_dataset_version(TEAM, "d", TASK, files(registry, name), {})
    jobs = JobQueue(database)
    job = jobs.submit(TEAM, "train", {"dataset": "d:1", "name": "d"})
    for number in (1, None):
        with pytest.raises(Conflict) as caught:
            registry.delete_dataset(TEAM, "d", number, is_forced=True)
        assert (caught.value.code, caught.value.params["user"]) == ("in_use", f"job {job.id}")
    registry.delete_dataset(TEAM, "d", 2)
    jobs.cancel(TEAM, job.id)
    for missing in (lambda: registry.delete_dataset(TEAM, "d", 2), lambda: registry.delete_dataset(OTHER, "d", 1)):
        with pytest.raises(NotFound):
            missing()
    registry.delete_dataset(TEAM, "d")


def test_what_was_made_of_a_dataset_version_is_found_by_its_rows(registry: Registry) -> None:
    one, two = (registry.create_dataset_version(TEAM, "d", TASK, files(registry, name), {}) for name in ("one", "two"))
    made = [model_of(registry, one, name) for name in ("second", "first")]
    elsewhere = {"dataset": "d:1", "dataset_digest": two.digest}
    registry.create_version(TEAM, "other-rows", TASK, manifest=one.manifest, lineage=elsewhere, metrics={}, labels=())
    certified_on = {"source": "import", "dataset": "d:1", "dataset_digest": one.digest}
    registry.create_version(TEAM, "imported", TASK, manifest=one.manifest, lineage=certified_on, metrics={}, labels=())
    registry.create_version(OTHER, "theirs", TASK, manifest=one.manifest, lineage={"dataset": "d:1"}, metrics={}, labels=())
    assert registry.made_of(TEAM, [one, two]) == {"d:1": tuple(made), "d:2": ()}
