"""What `hanlin up` says before it starts anything."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psutil
import pytest

from hanlin.app import up
from hanlin.errors import Conflict, InvalidInput
from hanlin.settings import load_settings
from hanlin.storage.database import Database


@pytest.mark.parametrize("home", ["/proc/home", "file/home"])
def test_a_home_that_takes_no_files_is_told(tmp_path: Path, home: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidInput) as caught:
        up(load_settings({}, home=tmp_path / home, port=0))
    assert caught.value.code == "home_unusable"
    assert str(home) in caught.value.text("zh")


def test_a_home_that_cannot_be_prepared_is_told_and_leaves_no_process(tmp_path: Path) -> None:
    """They are launched before the home is prepared."""
    settings = load_settings({}, home=tmp_path / "home", port=0)
    settings.home.mkdir()
    database = Database(settings.database)
    database.migrate()
    database.close()
    with sqlite3.connect(settings.home / "hanlin.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(Conflict) as caught:
        up(settings)
    assert caught.value.code == "database_newer"
    assert [child for child in psutil.Process().children() if "hanlin.app" in " ".join(child.cmdline())] == []
