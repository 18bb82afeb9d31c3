"""A gateway with the control API over a platform of its own: `python whole.py HOME FD`. Endpoints come from the stack's reconciler.

Nothing runs its jobs. HOME/key.txt has a key for everything, made here with a model, a dataset, an endpoint and a job to look at.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.app import open_platform
from hanlin.control import deployments, jobs
from hanlin.control.platform import Platform
from hanlin.control.stored_responses import StoredResponses
from hanlin.gateway.acceptor import Tally
from hanlin.gateway.app import create_app
from hanlin.gateway.control_api import create_control_router
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.server import serve
from hanlin.observe.orphans import die_with_parent
from hanlin.storage.manifest import Manifest, ManifestFile
from hanlin.types import SCOPES, Digest, KeyId, Principal

from stack import read_settings  # isort: skip - beside this file, which runs as a program


def fill(platform: Platform) -> None:
    """One thing of each kind."""
    owner = Principal(DEFAULT_TEAM, KeyId("k"), frozenset({"admin"}))

    def manifest(*names: str) -> Manifest:
        digest = Digest(platform.blobs.put(b"bytes"))
        return Manifest(tuple(ManifestFile(name, digest, 5) for name in names))

    version = platform.registry.create_version(
        DEFAULT_TEAM, "mood", "text-classification", manifest=manifest("model.safetensors"), lineage={"dataset": "reviews:1"},
        metrics={"accuracy": 0.9}, labels=("bad", "good"),
    )  # fmt: skip
    platform.registry.add_variant(version, "torch-fp32", None, {"status": "ok"}, is_chosen=True)
    version = platform.registry.add_certificate(version, "torch-fp32", {"rows": 200}, is_passed=True)
    platform.registry.publish(version)
    platform.registry.create_dataset_version(DEFAULT_TEAM, "reviews", "text-classification", manifest("rows.parquet"), {"rows_kept": 2})
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    jobs.submit(platform, owner, kind="evaluate", config={"model": "mood:1", "dataset": "reviews"})


def main(home: Path, descriptor: int, index: int, tally: int) -> None:
    """Serves until SIGTERM."""
    settings = read_settings(home)
    platform = open_platform(settings)
    platform.database.migrate()
    if index == 0 and not (home / "key.txt").exists():
        fill(platform)
        (home / "key.new").write_text(platform.accounts.create_key(DEFAULT_TEAM, "test", SCOPES)[1])
        (home / "key.new").replace(home / "key.txt")
    dataplane = Dataplane(platform.accounts, settings=settings, index=index, responses=StoredResponses(platform))
    app = create_app(dataplane, control_router=create_control_router(platform, dataplane))
    serve(app, socket.socket(fileno=descriptor), settings, dataplane=dataplane, tally=Tally(tally, index))
    platform.close()


if __name__ == "__main__":
    die_with_parent()
    main(Path(sys.argv[2]), *map(int, sys.argv[3:]))
