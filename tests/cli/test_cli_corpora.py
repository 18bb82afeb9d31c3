"""`hanlin dataset sample`: needs no server; what it writes, says and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hanlin.datasets.corpora import CORPORA


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANLIN_HOME", str(tmp_path / "home"))


def test_all_corpora_are_listed_with_who_made_their_answers(run) -> None:
    found = {item["name"]: item for item in run("dataset", "sample", "--json").json()}
    assert list(found) == CORPORA.names()
    assert found["brown-roles"]["nature"] == "silver"
    shown = run("dataset", "sample").out
    assert "newspaper-entities" in shown
    assert "synthetic" in shown


def test_a_corpus_is_written_with_its_database(run, tmp_path: Path) -> None:
    done = run("dataset", "sample", "library-queries-zh", "--out", str(tmp_path / "out"), "--rows", "50")
    assert done.status == 0
    rows = [json.loads(line) for line in (tmp_path / "out/library-queries-zh.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 50
    assert (tmp_path / "out/library-zh.sql").read_text(encoding="utf-8").startswith("CREATE TABLE authors")
    said = "".join(done.out.split())
    assert "50rows,synthetic" in said
    assert "--tasktext-to-sql" in said


def test_it_speaks_chinese(run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HANLIN_LANG", "zh")
    done = run("dataset", "sample", "library-queries-en", "--out", str(tmp_path), "--rows", "5")
    assert "关于一个小图书馆的英文问题" in "".join(done.out.split())


def test_unknown_names_and_formats_are_refused(run, tmp_path: Path) -> None:
    assert "newspaper-pos" in run("dataset", "sample", "nothing", "--out", str(tmp_path)).err
    refused = run("dataset", "sample", "library-queries-en", "--format", "squad", "--out", str(tmp_path))
    assert (refused.status, "jsonl" in refused.err) == (2, True)
    assert not list(tmp_path.glob("*.json*"))
