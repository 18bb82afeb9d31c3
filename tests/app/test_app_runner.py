"""The runner where the disk is full: it goes on, and so do its jobs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hanlin.app import open_platform
from hanlin.app import runner as room
from hanlin.app.runner import Runner
from hanlin.settings import load_settings


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
