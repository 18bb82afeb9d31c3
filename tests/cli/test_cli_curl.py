"""The call that `deploy` prints works for who reads it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hanlin.cli import curl
from hanlin.demo.story import curl as story_curl
from hanlin.demo.story import made
from hanlin.errors import EngineFailed

URL = "http://127.0.0.1:1/models/sentiment"


def sent(command: str, folder: Path, environ: dict[str, str]) -> list[str]:
    """The words that a shell hands to `curl`."""
    (folder / "curl").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    (folder / "curl").chmod(0o755)
    shell = ["sh", "-c", command]
    return subprocess.run(
        shell, env={"PATH": f"{folder}:/usr/bin:/bin", **environ}, capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.mark.parametrize("name", ["home", "a home's place"])
def test_an_owner_without_a_variable_sends_the_key_of_the_home(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    home.mkdir()
    (home / "owner.key").write_text("hl_own\n", encoding="utf-8")
    words = sent(curl.command(URL, {"HANLIN_HOME": str(home)}), tmp_path, {})
    assert words == [URL, "-H", "Authorization: Bearer hl_own", "-H", "Content-Type: application/json", "-d", '{"inputs": "…"}']


def test_who_set_the_variable_sends_it(tmp_path: Path) -> None:
    environ = {"HANLIN_KEY": "hl_set", "HANLIN_HOME": str(tmp_path)}
    assert "Authorization: Bearer hl_set" in sent(curl.command(URL, environ), tmp_path, environ)


def test_deploy_prints_it_without_the_key(run, world, standin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HANLIN_KEY")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "owner.key").write_text(standin.KEY, encoding="utf-8")
    done = run("deploy", "sentiment-zh", "--endpoint", "sentiment")
    assert f"$(cat {tmp_path}/home/owner.key)" in done.out
    assert standin.KEY not in done.out


def test_the_demos_call_is_made_by_curl_itself(world, standin, tmp_path: Path) -> None:
    (tmp_path / "owner.key").write_text(standin.KEY + "\n", encoding="utf-8")
    found = json.loads(made(story_curl(world.url, "sentiment", "it's 很好", tmp_path / "owner.key")))
    assert found[0]["label"] == "pos"
    (tmp_path / "owner.key").write_text("hl_other", encoding="utf-8")
    with pytest.raises(EngineFailed):
        made(story_curl(world.url, "sentiment", "好", tmp_path / "owner.key"))
