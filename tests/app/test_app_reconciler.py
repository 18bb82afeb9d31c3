"""The reconciler process where nothing can be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanlin.app import open_platform
from hanlin.app import reconciler as process
from hanlin.control.desired import DeclaredDeployments
from hanlin.engines.streams import AUTO, Streams
from hanlin.errors import InvalidInput, NotReady
from hanlin.serving.reconciler import Reconciler
from hanlin.settings import load_settings


def test_a_full_disk_at_the_start_keeps_nobody_from_serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings({}, home=tmp_path)
    platform = open_platform(settings)
    platform.database.migrate()
    platform.close()
    started = []

    def refuse(_: DeclaredDeployments) -> None:
        raise NotReady("storage_full")

    async def run(_: Reconciler) -> None:
        started.append(True)

    monkeypatch.setattr(DeclaredDeployments, "start_over", refuse)
    monkeypatch.setattr(Reconciler, "run", run)
    assert process.run_reconciler(settings) == 0
    assert started == [True]


def test_streams_and_pinning_of_the_settings_are_those_of_the_workers(tmp_path: Path) -> None:
    home = {"HANLIN_HOME": str(tmp_path), "HANLIN_THREADS": "3"}
    assert process.worker_options(load_settings(home)).streams == AUTO
    told = {"HANLIN_ENGINE_STREAMS": "3", "HANLIN_ENGINE_PINNING": "off"}
    assert process.worker_options(load_settings(home | told)).streams == Streams(3, "off")
    for name, wrong in (("STREAMS", "4"), ("STREAMS", "-1"), ("STREAMS", "auto"), ("PINNING", "yes")):
        with pytest.raises(InvalidInput, match=f"engine_{name.lower()}"):
            load_settings(home | {f"HANLIN_ENGINE_{name}": wrong})
