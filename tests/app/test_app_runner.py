"""The runner where the disk is full: it goes on, and so do its jobs. What it tidies when a job was cancelled."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.app import housekeeping, open_platform
from hanlin.app import runner as room
from hanlin.app.runner import Runner, RunningJob
from hanlin.control.platform import Platform
from hanlin.jobs import Job
from hanlin.registry.values import ModelVersion
from hanlin.settings import load_settings
from hanlin.storage.manifest import Manifest, ManifestFile


def refuse(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_death_is_counted_although_it_cannot_be_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "write_atomically", refuse)
    assert room.count_death(tmp_path / "job", 3) == 1


def test_a_log_without_a_place_is_read_and_dropped(tmp_path: Path) -> None:
    """A closed pipe would end the job at its next line."""
    (tmp_path / "file").write_text("in the way")
    reader, writer = os.pipe()
    os.write(writer, b"line\n")
    os.close(writer)
    source = os.fdopen(reader, "rb")
    room._keep_log(source, tmp_path / "file" / "job.log")
    assert source.closed


def test_a_turn_that_the_system_refuses_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = open_platform(load_settings({}, home=tmp_path))
    platform.database.migrate()
    found = Runner(platform)
    turns = []

    def tick(_now_s: float) -> None:
        turns.append(1)
        if len(turns) == 1:
            refuse()
        found.stop()

    monkeypatch.setattr(found, "tick", tick)
    found.run()
    assert len(turns) == 2
    platform.close()


def cancelled_training(platform: Platform, *, is_published: bool) -> tuple[Job, ModelVersion]:
    """A training that was cancelled after it had recorded its version."""
    platform.jobs.submit(DEFAULT_TEAM, "train", {"name": "mood"})
    job = platform.jobs.claim("runner", ["heavy"], 30)
    assert job is not None
    manifest = Manifest((ManifestFile("model.safetensors", platform.blobs.put(b"weights"), 7),))
    version = platform.registry.create_version(
        DEFAULT_TEAM, "mood", "text-classification", manifest=manifest, lineage={}, metrics={}, labels=("a", "b"), job_id=job.id
    )  # fmt: skip
    platform.registry.add_variant(version, "torch-fp32", None, {}, is_chosen=True)
    if is_published:
        platform.registry.add_certificate(version, "torch-fp32", {}, is_passed=True)
        platform.registry.publish(version)
    platform.jobs.cancel(DEFAULT_TEAM, job.id)
    return job, version


@pytest.mark.parametrize("way", ["its own end", "killed", "swept"])
@pytest.mark.parametrize("is_published", [False, True])
def test_a_cancelled_training_leaves_no_unpublished_version(tmp_path: Path, way: str, is_published: bool) -> None:
    platform = open_platform(load_settings({}, home=tmp_path))
    platform.database.migrate()
    job, _version = cancelled_training(platform, is_published=is_published)
    if way != "killed":
        platform.jobs.end_cancelled(job)
    if way == "swept":
        housekeeping.sweep(platform)
    else:
        process = subprocess.Popen(["true"])
        process.wait()
        Runner(platform)._settle(RunningJob(job, "heavy", process, 0.0), 0)  # type: ignore[arg-type]
    assert platform.jobs.get_any(job.id).state == "cancelled"
    assert [found.state for found in platform.registry.get_model(DEFAULT_TEAM, "mood").versions] == (["published"] if is_published else [])
    platform.close()


def test_a_version_published_while_its_cancelled_job_is_tidied_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = open_platform(load_settings({}, home=tmp_path))
    platform.database.migrate()
    job, version = cancelled_training(platform, is_published=False)
    platform.jobs.end_cancelled(job)
    delete = platform.registry.delete_version

    def late(*args: object, **options: object) -> None:
        platform.registry.add_certificate(version, "torch-fp32", {}, is_passed=True)
        platform.registry.publish(version)
        delete(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(platform.registry, "delete_version", late)
    housekeeping.sweep(platform)
    assert [found.state for found in platform.registry.get_model(DEFAULT_TEAM, "mood").versions] == ["published"]
    platform.close()
