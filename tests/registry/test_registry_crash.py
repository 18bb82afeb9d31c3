"""C079: kill -9 at every step of a publish: afterwards the version is there whole or not at all, and publishing again works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hanlin.errors import NotFound
from hanlin.registry import Registry
from hanlin.registry.collect import collect_garbage
from hanlin.storage.database import Database
from hanlin.storage.manifest import is_intact, materialize
from hanlin.storage.stores.file import FileStore
from hanlin.types import ModelRef, TeamId

# The child counts every call of the system that changes a disk and dies just before, or just after, the k-th one.
PUBLISH = """
import os, signal, sys
from pathlib import Path
from hanlin.errors import Conflict
from hanlin.registry import Registry
from hanlin.storage.database import Database
from hanlin.storage.manifest import pack_folder
from hanlin.storage.stores.file import FileStore
from hanlin.types import JobId, TeamId

count = 0

def step(call, at, is_after):
    def wrapped(*arguments, **options):
        global count
        count += 1
        mine = count
        if mine == at and not is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return call(*arguments, **options)
        finally:
            if mine == at:
                os.kill(os.getpid(), signal.SIGKILL)
    return wrapped

def publish(home, at, is_after):
    database = Database(f"sqlite:///{home / 'hanlin.db'}")
    for name in ("open", "write", "fsync", "replace", "chmod", "mkdir", "unlink"):
        setattr(os, name, step(getattr(os, name), at, is_after))
    dialect = database._engine.dialect
    dialect.do_commit = step(dialect.do_commit, at, is_after)
    dialect.do_execute = step(dialect.do_execute, at, is_after)
    registry = Registry(database, FileStore(home / "blobs"))
    manifest = pack_folder(home / "model", registry.blobs)
    version = registry.create_version(
        TeamId("default"), "m", "text-classification", manifest=manifest, lineage={}, metrics={}, labels=("a",), job_id=JobId("j")
    )
    registry.add_variant(version, "torch-fp32", None, {}, is_chosen=True)
    registry.add_certificate(version, "torch-fp32", {}, is_passed=True)
    try:
        registry.publish(version)
    except Conflict as error:
        assert error.code == "already_published"

for line in sys.stdin:
    home, at, moment = line.split()
    child = os.fork()
    if child == 0:
        publish(Path(home), int(at), moment == "after")
        Path(home, "steps").write_text(str(count))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
TEAM = TeamId("default")


class Publisher:
    """A process that forks one child a publish."""

    def __enter__(self) -> Publisher:
        self.child = subprocess.Popen([sys.executable, "-c", PUBLISH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.child.communicate()

    def publish(self, home: Path, at: int, moment: str) -> int:
        assert self.child.stdin
        assert self.child.stdout
        print(home, at, moment, file=self.child.stdin, flush=True)
        return int(self.child.stdout.readline())


def check(home: Path) -> str:
    """The state after a crash: `nothing`, or the version's state; whatever is recorded has all its bytes."""
    database = Database(f"sqlite:///{home / 'hanlin.db'}")
    registry = Registry(database, FileStore(home / "blobs"))
    try:
        version = registry.resolve(TEAM, ModelRef("m", 1))
    except NotFound:
        return "nothing"
    finally:
        for found in registry.blobs.list():
            registry.blobs.open(found.digest).read()  # visible means whole
        database.close()
    assert len(registry.list_versions(TEAM, "m")) == 1
    assert is_intact(version.manifest, materialize(version.manifest, registry.blobs, home / "cache" / version.digest))
    if version.state == "published":
        assert registry.is_certified(version, "torch-fp32")
    database.close()
    return version.state


def prepare(home: Path) -> Path:
    (home / "model" / "variants").mkdir(parents=True)
    (home / "model" / "config.json").write_text("{}")
    (home / "model" / "variants" / "model.onnx").write_bytes(os.urandom(100_000))
    database = Database(f"sqlite:///{home / 'hanlin.db'}")
    database.migrate()
    database.close()
    return home


def campaign(tmp_path: Path, stride: int) -> None:
    seen = set()
    with Publisher() as publisher:
        assert publisher.publish(prepare(tmp_path / "whole"), 0, "before") == 0
        steps = int((tmp_path / "whole" / "steps").read_text())
        assert steps > 40
        for at in range(1, steps + 1, stride):
            for moment in ("before", "after"):
                home = prepare(tmp_path / f"{at}-{moment}")
                assert publisher.publish(home, at, moment) == -9, f"step {at} was not reached"
                seen.add(check(home))
                assert publisher.publish(home, 0, "before") == 0
                assert check(home) == "published"
                database, blobs = Database(f"sqlite:///{home / 'hanlin.db'}"), FileStore(home / "blobs")
                collect_garbage(database, blobs, cache=home / "cache", grace_s=-60)
                database.close()
                assert check(home) == "published"
                assert len(list(blobs.list())) == 2
                assert list((home / "blobs").rglob(".*")) == [], "a dead writer's file stayed"
    assert seen >= {"nothing", "candidate"}


def test_kill_9_while_publishing(tmp_path: Path) -> None:
    campaign(tmp_path, stride=13)


@pytest.mark.soak
def test_kill_9_at_every_step_of_publishing(tmp_path: Path) -> None:
    campaign(tmp_path, stride=1)
