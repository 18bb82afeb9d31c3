"""The reconciler process where nothing can be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanlin.app import open_platform
from hanlin.app import reconciler as process
from hanlin.control.desired import DeclaredDeployments
from hanlin.errors import NotReady
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
