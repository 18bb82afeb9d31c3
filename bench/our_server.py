"""Hanlin's serving half without its registry, for benches: the real gateway process, reconciler and workers over given folders.

usage: python bench/our_server.py HOME PORT '{"minilm": ["FOLDER", "openvino-bf16"], …}' [SETTING=VALUE …]

The owner key stands in HOME/owner.key, as always. Ends at SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from hanlin.app.processes import spawn, stop
from hanlin.app.reconciler import worker_options
from hanlin.app.supervisor import bind
from hanlin.app.wiring import open_platform
from hanlin.gateway.acceptor import new_tally
from hanlin.messages.said import Said
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.reconciler import Reconciler
from hanlin.settings import Settings, load_settings
from hanlin.types import JsonObject


class Fixed:
    """Desired state that never changes."""

    def __init__(self, models: dict[str, list[str]]) -> None:
        self._deployments = [
            DeploymentSpec(f"d-{name}", "default", name, name, f"{name}:1", variant) for name, (_, variant) in models.items()
        ]  # fmt: skip

    def list_deployments(self) -> Sequence[DeploymentSpec]:
        return self._deployments

    def set_state(self, deployment_id: str, state: str, reason: Said | None, replicas: int) -> None:
        print(deployment_id, state, reason.text("en") if reason else "", flush=True)

    def set_stats(self, deployment_id: str, stats: JsonObject) -> None:
        """There are no trials."""

    def step_back(self, deployment_id: str, reason: Said, stats: JsonObject) -> None:
        """There are no trials."""


def prepare(settings: Settings) -> None:
    """Database and owner key."""
    (settings.home / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
    platform = open_platform(settings)
    platform.database.migrate()
    platform.accounts.ensure_owner_key(settings.home)
    platform.close()


async def reconcile(settings: Settings, models: dict[str, list[str]]) -> None:
    """Runs the workers until SIGTERM."""
    reconciler = Reconciler(
        Fixed(models), materialize=lambda spec: Path(models[spec.endpoint][0]), options=worker_options(settings), poll_s=5.0
    )  # fmt: skip
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, reconciler.stop)
    await reconciler.run()


def main() -> None:
    home, port, models = Path(sys.argv[1]).absolute(), int(sys.argv[2]), json.loads(sys.argv[3])
    more = {"grpc_port": "0"} | dict(pair.split("=", 1) for pair in sys.argv[4:])  # any free one: the one after PORT may be taken
    settings = load_settings(os.environ, home=home, port=port, **more)
    prepare(settings)
    with bind(settings) as listener:
        fd, tally = listener.fileno(), new_tally(1)
        os.set_inheritable(fd, True)
        gateway = spawn("gateway", settings, str(fd), "0", str(tally), pass_fds=(fd, tally))
        try:
            asyncio.run(reconcile(settings, models))
        finally:
            stop(gateway, grace_s=5.0)


if __name__ == "__main__":
    main()
