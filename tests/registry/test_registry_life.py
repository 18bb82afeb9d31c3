"""A version's life: names, numbers, variants, certificates, publishing, aliases, deletion, reuse, collection."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hanlin.errors import Conflict, InvalidInput, NotFound
from hanlin.jobs import JobQueue
from hanlin.registry import Registry
from hanlin.registry.collect import collect_garbage
from hanlin.registry.values import ModelVersion
from hanlin.storage.database import Database
from hanlin.storage.manifest import Manifest, ManifestFile
from hanlin.storage.tables import AuditRow, DeploymentRow, EndpointRow
from hanlin.types import Digest, JobId, ModelRef, TeamId, utc_now

TEAM, OTHER = TeamId("default"), TeamId("other")
TASK = "text-classification"


def files(registry: Registry, *names: str) -> Manifest:
    return Manifest(tuple(ManifestFile(name, registry.blobs.put(name.encode()), len(name)) for name in names))


def candidate(registry: Registry, name: str = "m", **options: object) -> ModelVersion:
    manifest = files(registry, f"{name}.safetensors")
    return registry.create_version(TEAM, name, TASK, manifest=manifest, lineage={}, metrics={}, labels=("neg", "pos"), **options)  # type: ignore[arg-type]


def published(registry: Registry, name: str = "m") -> ModelVersion:
    version = candidate(registry, name)
    registry.add_variant(version, "torch-fp32", None, {}, is_chosen=True)
    registry.add_certificate(version, "torch-fp32", {}, is_passed=True)
    return registry.publish(version)


BAD_NAMES = [
    "",
    "..",
    ".",
    "a/b",
    "CON",
    "con",
    "com1.x",
    "a" * 300,
    "a.",
    "a ",
    "-a",
    "é",
    "e\u0301",
    "😀",
    "аbc",
    "A",
    "a\nb",
    "a\0",
    "$(id)",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names(registry: Registry, name: str) -> None:
    """C082, C090."""
    with pytest.raises(InvalidInput) as caught:
        candidate(registry, name)
    assert caught.value.code in {"invalid_name", "invalid_artifact_path"}
    with pytest.raises(InvalidInput):
        registry.create_dataset_version(TEAM, name, TASK, Manifest(()), {})
    version = published(registry)
    with pytest.raises(InvalidInput):
        registry.set_alias(TEAM, "m", name, version.number)


def test_the_road_of_a_version(registry: Registry) -> None:
    version = candidate(registry)
    assert (version.state, version.number, str(version)) == ("candidate", 1, "m:1")
    with pytest.raises(Conflict) as early:
        registry.publish(version)
    assert early.value.code == "not_certified"
    with pytest.raises(NotFound):
        registry.resolve(TEAM, ModelRef("m"))
    registry.add_variant(version, "torch-fp32", None, {"size_bytes": 1})
    registry.add_variant(version, "openvino-int8", files(registry, "variants/openvino-int8/model.xml"), {}, is_chosen=True)
    assert registry.add_certificate(version, "torch-fp32", {}, is_passed=True).state == "candidate"  # not the chosen one
    assert registry.add_certificate(version, "openvino-int8", {}, is_passed=True).state == "certified"
    assert registry.add_certificate(version, "openvino-int8", {}, is_passed=False).state == "candidate"  # a later failure counts
    registry.add_certificate(version, "openvino-int8", {}, is_passed=True)
    with pytest.raises(Conflict):
        registry.set_alias(TEAM, "m", "production", 1)
    done = registry.publish(version, actor="key_1")
    assert done.state == "published"
    assert done.published_at is not None
    with pytest.raises(Conflict) as twice:
        registry.publish(version)
    assert twice.value.code == "already_published"
    assert registry.resolve(TEAM, ModelRef("m")) == done
    registry.set_alias(TEAM, "m", "production", 1)
    assert registry.resolve(TEAM, ModelRef.parse("m@production")) == done
    with registry.database.read() as session:
        assert [row.action for row in session.query(AuditRow)] == ["version.publish", "alias.set"]


def test_new_bytes_lose_the_certificate(registry: Registry) -> None:
    version = candidate(registry)
    registry.add_variant(version, "x-int8", files(registry, "variants/x/a"), {}, is_chosen=True)
    registry.add_certificate(version, "x-int8", {}, is_passed=True)
    registry.add_variant(version, "x-int8", files(registry, "variants/x/b"), {}, is_chosen=True)
    assert not registry.is_certified(version, "x-int8")
    with pytest.raises(Conflict):
        registry.publish(version)
    assert [variant.is_chosen for variant in registry.list_variants(version)] == [True]


def test_a_base_needs_no_certificate(registry: Registry) -> None:
    assert registry.publish(candidate(registry, is_base=True)).state == "published"


def test_a_job_makes_one_version(registry: Registry) -> None:
    first = candidate(registry, job_id=JobId("job_1"), fingerprint="f")
    assert candidate(registry, job_id=JobId("job_1")) == first
    assert candidate(registry, job_id=JobId("job_2")).number == 2
    assert registry.find_by_request(TEAM, "m", "f") == first
    assert registry.find_by_request(TEAM, "m", "") is None
    assert registry.find_by_request(OTHER, "m", "f") is None


def test_numbers_are_never_given_twice(registry: Registry) -> None:
    candidate(registry)
    registry.delete_version(candidate(registry))
    assert candidate(registry).number == 3
    with pytest.raises(NotFound):
        registry.resolve(TEAM, ModelRef("m", 2))


def test_what_is_in_use_stays(registry: Registry, database: Database) -> None:
    version = published(registry)
    registry.set_alias(TEAM, "m", "production", 1)

    def refused() -> str:
        with pytest.raises(Conflict) as caught:
            registry.delete_version(version)
        assert caught.value.code == "in_use"
        return str(caught.value.params["user"]).split()[0]

    assert refused() == "alias"
    registry.delete_alias(TEAM, "m", "production")
    now = utc_now()
    with database.write() as session:
        endpoint = EndpointRow(team_id=TEAM, name="e", is_internal=False, deployment_id="dep_1", created_at=now)
        session.add(endpoint)
        session.flush()
        session.add(
            DeploymentRow(id="dep_1", team_id=TEAM, endpoint_id=endpoint.id, version_id=version.id, model="m:1", variant="torch-fp32",
                          replicas=1,                          is_wanted=True, state="ready", created_at=now, updated_at=now)
        )  # fmt: skip
    assert refused() == "endpoint"
    with database.write() as session:
        row = session.get_one(DeploymentRow, "dep_1")
        row.is_wanted, row.state = False, "stopped"
    job = JobQueue(database).submit(TEAM, "compress", {"model": "m:1"})
    other = JobQueue(database).submit(TEAM, "compress", {"model": "m:2"})
    assert refused() == "job"
    JobQueue(database).cancel(TEAM, job.id)
    registry.delete_version(version)
    JobQueue(database).cancel(TEAM, other.id)
    with pytest.raises(NotFound):
        registry.add_variant(version, "x", None, {})


def test_who_deletes_a_candidate_does_not_delete_what_was_published_since(registry: Registry) -> None:
    version = published(registry)
    with pytest.raises(Conflict) as caught:
        registry.delete_version(replace(version, state="candidate", published_at=None), is_unpublished_only=True)
    assert caught.value.code == "already_published"
    assert registry.resolve(TEAM, ModelRef("m", 1)) == version
    registry.delete_version(candidate(registry), is_unpublished_only=True)
    assert registry.get_model(TEAM, "m").versions == (version,)


def test_teams_are_apart(registry: Registry) -> None:
    version = published(registry)
    for call in (
        lambda: registry.get_model(OTHER, "m"),
        lambda: registry.resolve(OTHER, ModelRef("m", 1)),
        lambda: registry.set_notes(OTHER, "m", "x"),
        lambda: registry.set_alias(OTHER, "m", "a", 1),
        lambda: registry.resolve_dataset(OTHER, "d"),
    ):
        with pytest.raises(NotFound) as mine:
            call()
        assert mine.value.code == "not_found"
    assert registry.list_models(OTHER) == []
    theirs = registry.create_version(OTHER, "m", "other-task", manifest=version.manifest, lineage={}, metrics={}, labels=())
    assert theirs.number == 1


def test_an_alias_that_a_model_lacks_is_told_with_the_way_to_give_it(registry: Registry) -> None:
    published(registry)
    with pytest.raises(NotFound) as caught:
        registry.resolve(TEAM, ModelRef("m", alias="production"))
    assert (caught.value.code, caught.value.params) == ("alias_missing", {"name": "m", "alias": "production"})
    assert "hanlin model promote m production" in caught.value.next_step


def test_a_model_goes_with_all_its_versions_or_stays_whole(registry: Registry) -> None:
    published(registry)
    candidate(registry)
    registry.set_alias(TEAM, "m", "production", 1)
    with pytest.raises(Conflict) as caught:
        registry.delete_model(TEAM, "m")
    assert caught.value.params == {"subject": "m", "user": "alias production", "commands": "`hanlin model demote m production`"}
    assert len(registry.get_model(TEAM, "m").versions) == 2
    registry.delete_alias(TEAM, "m", "production")
    registry.delete_model(TEAM, "m")
    with pytest.raises(NotFound):
        registry.get_model(TEAM, "m")
    candidate(registry, "bare")
    registry.delete_version(registry.resolve(TEAM, ModelRef("bare", 1)))
    assert registry.get_model(TEAM, "bare").versions == ()
    registry.delete_model(TEAM, "bare")
    assert registry.list_models(TEAM) == []


def test_garbage_is_what_no_record_names(registry: Registry, database: Database) -> None:
    version = published(registry)
    registry.add_variant(version, "x-int8", files(registry, "kept-variant"), {})
    registry.create_dataset_version(TEAM, "d", TASK, files(registry, "kept-data"), {})
    queued = registry.blobs.put(b"a file that a queued job will read")
    JobQueue(database).submit(TEAM, "ingest", {"files": [{"path": "a", "sha256": queued}]})
    orphan = registry.blobs.put(b"orphan")
    assert collect_garbage(database, registry.blobs) == 0  # all too young
    assert collect_garbage(database, registry.blobs, grace_s=-60) == 1
    assert registry.blobs.stat(orphan) is None
    registry.delete_version(version)
    assert collect_garbage(database, registry.blobs, grace_s=-60) == 2
    assert len(list(registry.blobs.list())) == 2


def test_layout_follows_the_variants_asked_for(registry: Registry, tmp_path: Path) -> None:
    version = candidate(registry)
    registry.add_variant(version, "x-int8", files(registry, "variants/x-int8/model"), {})
    lean = registry.materialize(version, tmp_path / "cache", variants=())
    full = registry.materialize(version, tmp_path / "cache")
    assert [path.name for path in lean.iterdir()] == ["m.safetensors"]
    assert (full / "variants" / "x-int8" / "model").read_text() == "variants/x-int8/model"


PUBLISHER = """
import sys, time
from hanlin.errors import Conflict
from hanlin.registry import Registry
from hanlin.storage.database import Database
from hanlin.storage.blobs import open_blobs
from hanlin.types import ModelRef, TeamId
registry = Registry(Database(sys.argv[1]), open_blobs("memory://x"))
versions = registry.list_versions(TeamId("default"), "m")
print("ready", flush=True)
sys.stdin.readline()
for version in versions:
    try:
        registry.publish(version)
        print(201)
    except Conflict as error:
        assert error.code == "already_published", error.code
        print(409)
"""


def test_two_publishes_at_once(registry: Registry, database_url: str) -> None:
    """Two processes publish the same thirty versions from a common start: each version is published by exactly one."""
    for _ in range(30):
        candidate(registry, is_base=True)
    children = [
        subprocess.Popen([sys.executable, "-c", PUBLISHER, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    said = [child.communicate()[0].split() for child in children]
    assert [sorted(pair) for pair in zip(*said, strict=True)] == [["201", "409"]] * 30
    assert all(version.state == "published" for version in registry.list_versions(TEAM, "m"))


def test_references_to_other_digests_are_refused() -> None:
    with pytest.raises(InvalidInput):
        ManifestFile("a", Digest("x"), 1) and Manifest((ManifestFile("a", Digest("x"), 1),))
