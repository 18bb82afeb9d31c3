"""What deleting must never take: what a job needs that names it in whatever way, what has come in its place, what others add meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from hanlin.errors import Conflict, NotFound
from hanlin.jobs import JobQueue
from hanlin.registry import Registry
from hanlin.registry.values import DatasetVersion, ModelVersion
from hanlin.storage.database import Database
from hanlin.storage.manifest import Manifest, ManifestFile
from hanlin.types import JsonObject, TeamId

TEAM = TeamId("default")
TASK = "text-classification"


def files(registry: Registry, name: str) -> Manifest:
    return Manifest((ManifestFile(name, registry.blobs.put(name.encode()), len(name)),))


def candidate(registry: Registry, name: str = "m", lineage: JsonObject | None = None) -> ModelVersion:
    return registry.create_version(TEAM, name, TASK, manifest=files(registry, name), lineage=lineage or {}, metrics={}, labels=())


def model_of(registry: Registry, dataset: DatasetVersion, name: str) -> ModelVersion:
    return candidate(registry, name, {"dataset": str(dataset), "dataset_digest": dataset.digest})


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("train", {"dataset": "d:01", "model": "lstm", "name": "new"}),
        ("import", {"name": "new", "rows": "d"}),
        ("compress", {"model": "made:1", "dataset": None}),
        ("certify", {"model": "made@production", "dataset": None}),
        ("evaluate", {"model": "made", "dataset": None}),
        ("compress", {"model": "other", "dataset": "e", "task_dataset": "d", "task_model": None}),
        ("certify", {"model": "other", "dataset": "e", "task_dataset": None, "task_model": "made:1"}),
    ],
)
def test_a_dataset_stays_however_a_job_names_it(registry: Registry, database: Database, kind: str, config: JsonObject) -> None:
    model_of(registry, registry.create_dataset_version(TEAM, "d", TASK, files(registry, "a"), {}), "made")
    jobs = JobQueue(database)
    job = jobs.submit(TEAM, kind, config)
    for number in (1, None):
        with pytest.raises(Conflict) as caught:
            registry.delete_dataset(TEAM, "d", number, is_forced=True)
        assert (caught.value.code, caught.value.params["user"]) == ("in_use", f"job {job.id}")
    jobs.cancel(TEAM, job.id)
    registry.delete_dataset(TEAM, "d", is_forced=True)


def test_rows_that_only_certified_an_import_may_go_but_not_while_a_job_reads_them(registry: Registry, database: Database) -> None:
    rows = registry.create_dataset_version(TEAM, "d", TASK, files(registry, "a"), {})
    candidate(registry, "imported", {"source": "import", "dataset": str(rows), "dataset_digest": rows.digest})
    jobs = JobQueue(database)
    job = jobs.submit(TEAM, "compress", {"model": "imported", "dataset": None})
    with pytest.raises(Conflict, match=job.id):
        registry.delete_dataset(TEAM, "d")
    jobs.cancel(TEAM, job.id)
    registry.delete_dataset(TEAM, "d")
    assert registry.list_datasets(TEAM) == []


@pytest.mark.parametrize(
    ("config", "is_free"),
    [
        ({"model": "m:1", "dataset": "d:1", "name": "m"}, False),  # what it makes is a version of m too
        ({"model": "m", "dataset": "m:1"}, False),  # the dataset is called as the model
        ({"model": "m@production", "dataset": "m:1"}, False),
        ({"model": "other", "task_model": "m:2", "dataset": None}, False),  # its form asks for a task
        ({"name": "new", "base": "m"}, False),  # an import stands on it
        ({"model": "m:1", "dataset": "m:2"}, True),
        ({"dataset": "m", "model": "lstm", "name": "other"}, True),
        ({"model": "m.2", "dataset": "m:2"}, True),
    ],
)
def test_a_version_stays_while_a_job_may_mean_it(registry: Registry, database: Database, config: JsonObject, is_free: bool) -> None:
    candidate(registry)
    second = candidate(registry)
    JobQueue(database).submit(TEAM, "train", config)
    if is_free:
        registry.delete_version(second)
        return
    with pytest.raises(Conflict):
        registry.delete_version(second)


def test_a_version_that_is_gone_is_not_taken_for_the_next_one_in_its_place(registry: Registry) -> None:
    """SQLite gives the id of the last row again; the number is 1 in every model."""
    gone = candidate(registry, "old")
    registry.delete_model(TEAM, "old")
    heir = candidate(registry, "new")
    acts: list[Callable[[], object]] = [
        lambda: registry.delete_version(gone), lambda: registry.publish(gone), lambda: registry.add_variant(gone, "x", None, {}),
    ]  # fmt: skip
    for act in acts:
        with pytest.raises(NotFound):
            act()
    assert registry.get_model(TEAM, "new").versions == (heir,)
    assert registry.list_variants(heir) == []


def test_many_who_delete_and_add_at_once_find_it_there_or_gone(registry: Registry) -> None:
    manifests = [files(registry, str(number)) for number in range(8)]
    begin = threading.Barrier(8)

    def work(place: int) -> list[str]:
        told = []
        begin.wait()
        for _ in range(10):
            try:
                if place % 2:
                    registry.create_dataset_version(TEAM, "d", TASK, manifests[place], {})
                    model_of(registry, registry.resolve_dataset(TEAM, "d"), "m")
                else:
                    registry.delete_dataset(TEAM, "d", is_forced=True)
                    registry.delete_model(TEAM, "m")
            except NotFound as error:
                told.append(error.code)
        return told

    with ThreadPoolExecutor(8) as pool:
        told = [code for found in pool.map(work, range(8)) for code in found]
    assert set(told) <= {"not_found"}
    registry.create_dataset_version(TEAM, "d", TASK, manifests[0], {})
    registry.delete_dataset(TEAM, "d", is_forced=True)
    assert registry.list_datasets(TEAM) == []
