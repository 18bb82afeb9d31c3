"""`hanlin doctor`: what it checks, and what it finds."""

from __future__ import annotations

import json
from pathlib import Path


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
