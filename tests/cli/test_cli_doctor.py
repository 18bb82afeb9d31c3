"""`hanlin doctor`: what it checks, and what it finds."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import text

from hanlin.storage.migrations import HEAD, REVISIONS


def test_doctor(run, world) -> None:
    done = run("doctor", "--json")
    report = json.loads(done.out)
    found = {item["name"]: item for item in report["findings"]}
    assert {
        "python",
        "cores",
        "processor",
        "memory",
        "workers",
        "home",
        "disk",
        "database",
        "engine torch",
        "engine onnxruntime",
        "engine openvino",
        "server",
    } <= found.keys()
    assert done.status == (0 if report["is_well"] else 1)
    assert found["database"]["status"] == "note", "an empty home is no problem"


def test_doctor_names_the_protections_that_workers_lack(run, world, monkeypatch) -> None:
    from hanlin.cli import checks
    from hanlin.serving import confinement

    monkeypatch.setattr(checks, "ENGINES", ())
    monkeypatch.setattr(confinement.landlock, "version", lambda: 0)
    (found,) = [item for item in run("doctor", "--json").json()["findings"] if item["name"] == "workers"]
    assert found["status"] == "note"
    assert "limits" in found["value"]
    assert "files, network, signals" in found["advice"]


def test_doctor_finds_a_home_that_cannot_be_written(run, world, tmp_path: Path, monkeypatch) -> None:
    from hanlin.cli import checks

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checks.tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(checks, "ENGINES", ())
    done = run("doctor", "--home", str(tmp_path))
    assert done.status == 1
    assert "Permission denied" in done.out


def test_doctor_finds_a_broken_database(run, world, tmp_path: Path, monkeypatch) -> None:
    from hanlin.cli import checks

    monkeypatch.setattr(checks, "ENGINES", ())
    (tmp_path / "hanlin.db").write_bytes(b"this is no database" * 100)
    done = run("doctor", "--home", str(tmp_path), "--json")
    assert done.status == 1
    assert [item["name"] for item in done.json()["findings"] if item["status"] == "problem"] == ["database"]


def database_of(run, home: Path) -> dict[str, str]:
    (found,) = [item for item in run("doctor", "--home", str(home), "--json").json()["findings"] if item["name"] == "database"]
    return found


def test_doctor_looks_into_any_database(run, tmp_path: Path, monkeypatch, database, database_url: str) -> None:
    from hanlin.cli import checks

    monkeypatch.setattr(checks, "ENGINES", ())
    monkeypatch.setenv("HANLIN_DATABASE_URL", database_url)
    found = database_of(run, tmp_path)
    assert (found["status"], found["value"].split()[0]) == ("ok", HEAD)
    for revision, status in ((REVISIONS[0], "note"), ("9999", "problem")):
        with database.write() as session:
            session.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
        found = database_of(run, tmp_path)
        assert (found["status"], found["value"].split()[0]) == (status, revision)
        assert HEAD in found["advice"]


def test_doctor_looks_into_a_database_without_tables(run, tmp_path: Path, monkeypatch, postgres) -> None:
    from hanlin.cli import checks

    monkeypatch.setattr(checks, "ENGINES", ())
    monkeypatch.setenv("HANLIN_DATABASE_URL", postgres.new())
    found = database_of(run, tmp_path)
    assert (found["status"], found["advice"]) == ("note", "hanlin up")


def test_doctor_finds_a_database_that_cannot_be_reached_and_tells_no_password(run, tmp_path: Path, monkeypatch) -> None:
    from hanlin.cli import checks

    monkeypatch.setattr(checks, "ENGINES", ())
    for url in ("postgresql://me:geheim@127.0.0.1:1/hanlin", "oracle://me:geheim@host/x", "postgresql://me:geheim@host:no-port/x"):
        monkeypatch.setenv("HANLIN_DATABASE_URL", url)
        found = database_of(run, tmp_path)
        assert found["status"] == "problem", url
        assert "geheim" not in str(found)
