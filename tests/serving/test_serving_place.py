"""Where replicas listen: private from the first moment, without a change that other threads would feel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hanlin.serving.place import Place


def test_a_place_is_private_and_leaves_the_umask_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that made a folder while the umask was 0177 made one that nobody but root could enter."""

    def refuse(_: int) -> int:
        raise AssertionError("the umask belongs to all threads")

    monkeypatch.setattr(os, "umask", refuse)
    modes = []
    monkeypatch.setattr(Path, "chmod", lambda path, _: modes.append(path.stat().st_mode & 0o777))
    place = Place(tmp_path / "run")
    assert modes == [0o600], "it was born so"
    place.close()
    assert not Path(place.route.socket).exists()
