"""What `hanlin up` says before it starts anything."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
from pathlib import Path

import psutil
import pytest

from hanlin.app import up
from hanlin.app.up import Started, say, say_start
from hanlin.errors import Conflict, InvalidInput
from hanlin.home import home_folder
from hanlin.settings import load_settings
from hanlin.storage.database import Database


@pytest.mark.parametrize("home", ["/proc/home", "file/home"])
def test_a_home_that_takes_no_files_is_told(tmp_path: Path, home: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InvalidInput) as caught:
        up(load_settings({}, home=tmp_path / home, port=0))
    assert caught.value.code == "home_unusable"
    assert str(home) in caught.value.text("zh")


@pytest.mark.parametrize(("language", "words"), [("en", "Hanlin is starting"), ("zh_CN.UTF-8", "翰林正在启动")])
def test_a_start_is_told_before_anything_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str, words: str
) -> None:
    monkeypatch.setenv("HANLIN_LANG", language)
    say_start(tmp_path / "home")
    told = capsys.readouterr().out
    assert words in told and str(tmp_path / "home") in told


def test_a_home_that_commands_would_not_find_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """`--home` is known to `up` alone; what it prints makes every command find the home."""
    started = Started("http://127.0.0.1:1", None, tmp_path / "a home", None, 0.1)
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "another"))
    say(started)
    told = re.search(r"export (HANLIN_HOME)=(.*)", capsys.readouterr().out)
    assert told
    monkeypatch.setenv(told[1], *shlex.split(told[2]))
    assert home_folder(os.environ) == load_settings().home == tmp_path / "a home"
    say(started)
    assert "export" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({}, "me/.hanlin"),
        ({"HANLIN_HOME": ""}, "me/.hanlin"),
        ({"HANLIN_HOME": "~/models"}, "me/models"),
        ({"HANLIN_HOME": "near"}, "here/near"),
        ({"HANLIN_CONFIG": "file.toml"}, "here/of a file"),
        ({"HANLIN_CONFIG": "file.toml", "HANLIN_HOME": "near"}, "here/near"),
    ],
)
def test_the_server_and_the_commands_mean_the_same_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict, home: str) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    Path("file.toml").write_text('home = "of a file"')
    assert home_folder(environ) == load_settings(environ).home == tmp_path / home


def test_the_default_home_may_name_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".hanlin").mkdir()
    for text, home in (('home = "~/disk"', "disk"), ("home = [", ".hanlin"), ("home = 5", ".hanlin")):
        (tmp_path / ".hanlin" / "hanlin.toml").write_text(text)
        assert home_folder({}) == tmp_path / home
    with pytest.raises(InvalidInput):
        load_settings({})
    assert load_settings({"HANLIN_CONFIG": "", "HANLIN_HOME": str(tmp_path)}).home == tmp_path


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
