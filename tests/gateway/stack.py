"""A serving stack without the control plane, for tests: `python stack.py gateway|reconciler HOME [FD INDEX TALLY]`.

Keys and desired deployments come from files in HOME, settings from HOME/settings.json.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

from hanlin.errors import Unauthenticated
from hanlin.messages.said import Said
from hanlin.observe.orphans import die_with_parent
from hanlin.serving.declared import DeploymentSpec
from hanlin.settings import Settings
from hanlin.types import KeyId, Principal, TeamId

KEYS = {
    "Bearer hl_owner": Principal(TeamId("default"), KeyId("owner"), frozenset({"admin"})),
    "Bearer hl_app": Principal(TeamId("default"), KeyId("app"), frozenset({"predict"})),
    "Bearer hl_reader": Principal(TeamId("default"), KeyId("reader"), frozenset({"read"})),
    "Bearer hl_other": Principal(TeamId("other"), KeyId("other"), frozenset({"predict"})),
}


class Keys:
    def authenticate(self, header: str | None) -> Principal:
        if header not in KEYS:
            raise Unauthenticated("unauthenticated")
        return KEYS[header]


class FileDesired:
    """HOME/desired.json: a list of deployments; states are appended to HOME/states.jsonl. When the newest is ready, older ones go."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def list_deployments(self) -> list[DeploymentSpec]:
        return [DeploymentSpec(**entry) for entry in json.loads((self._home / "desired.json").read_text())]

    def set_state(self, deployment_id: str, state: str, reason: Said | None, replicas: int) -> None:
        with (self._home / "states.jsonl").open("a") as file:
            file.write(json.dumps([deployment_id, state, reason.text("en") if reason else "", replicas]) + "\n")
        if state == "ready":
            entries = json.loads((self._home / "desired.json").read_text())
            this = next((entry for entry in entries if entry["deployment_id"] == deployment_id), None)
            if this is None:
                return
            cut = entries.index(this)
            kept = [entry for index, entry in enumerate(entries) if index >= cut or entry["endpoint"] != this["endpoint"]]
            if kept != entries:
                write_json(self._home / "desired.json", kept)


def write_json(path: Path, value: object) -> None:
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(value))
    aside.replace(path)


def run_gateway(home: Path, descriptor: int, index: int, tally: int) -> None:
    from hanlin.gateway.acceptor import Tally
    from hanlin.gateway.app import create_app
    from hanlin.gateway.dataplane import Dataplane
    from hanlin.gateway.grpc_server import GrpcServer
    from hanlin.gateway.server import serve

    settings = read_settings(home)
    dataplane = Dataplane(Keys(), settings=settings, index=index)
    sock = socket.socket(fileno=descriptor)
    app = create_app(dataplane)
    beside = GrpcServer(dataplane, port=settings.grpc_port, record=app.record) if settings.grpc_port else None
    serve(app, sock, settings, dataplane=dataplane, tally=Tally(tally, index), beside=beside)


def run_reconciler(home: Path) -> None:
    from hanlin.serving.process import WorkerOptions
    from hanlin.serving.reconciler import Reconciler

    settings = read_settings(home)
    options = WorkerOptions(
        run_dir=home / "run", max_items=settings.max_items, max_text_bytes=settings.max_text_bytes,
        max_queue_tokens=settings.max_queue_tokens,
        max_batch_tokens=settings.max_batch_tokens, drain_timeout_s=settings.drain_timeout_s,
    )  # fmt: skip

    async def main() -> None:
        desired = FileDesired(home)
        reconciler = Reconciler(desired, materialize=lambda spec: home / "models" / spec.version, options=options, poll_s=0.1)
        asyncio.get_running_loop().add_signal_handler(15, reconciler.stop)
        await reconciler.run()

    asyncio.run(main())


def read_settings(home: Path) -> Settings:
    path = home / "settings.json"
    return Settings(home=home, **(json.loads(path.read_text()) if path.exists() else {}))


if __name__ == "__main__":
    die_with_parent()
    if sys.argv[1] == "gateway":
        run_gateway(Path(sys.argv[2]), *map(int, sys.argv[3:]))
    else:
        run_reconciler(Path(sys.argv[2]))
