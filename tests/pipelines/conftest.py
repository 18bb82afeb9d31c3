"""A platform over a temporary home."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanlin.app import open_platform
from hanlin.control.platform import Platform
from hanlin.settings import load_settings


@pytest.fixture
def platform(tmp_path: Path, migrated_file: Path) -> Iterator[Platform]:
    (tmp_path / "home").mkdir()
    shutil.copy(migrated_file, tmp_path / "home")
    found = open_platform(load_settings({}, home=tmp_path / "home"))
    yield found
    found.close()
