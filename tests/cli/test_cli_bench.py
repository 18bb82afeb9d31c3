"""`hanlin bench` against a server: figures, picture, verdict, in both languages; bad loads are refused before any is sent."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from hanlin.bench.parts import NAMES
from hanlin.bench.report import Limit
from hanlin.cli.words import table

SHORT = ("--clients", "1,2", "--rates", "20,40", "--seconds", "0.3", "--warm-up", "0.1")


def test_bench_measures_draws_and_says_what_limits(run, world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tmp_path / "curve.svg"
    done = run("bench", "sentiment", *SHORT, "--out", str(picture))
    assert done.status == 0, done.err
    assert "2 at once" in done.out and "40/s" in done.out and "the limit" in done.out and "requests a second" in done.out
    assert "as long as the training data" in done.err
    assert "kept from earlier calls" not in done.err
    assert picture.read_text(encoding="utf-8").startswith("<svg")
    monkeypatch.setenv("HANLIN_LANG", "zh")
    done = run("bench", "sentiment", *SHORT)
    assert "个并发" in done.out and "受限于" in done.out


def test_bench_for_programs(run, world, tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("好\n坏\n", encoding="utf-8")
    found = run("bench", "sentiment", *SHORT, "--items", "3", "--file", str(file), "--json").json()
    assert found["endpoint"] == "sentiment" and found["model"] == "sentiment-zh:1 openvino-int8"
    assert found["texts"]["source"] == "file" and found["items"] == 3
    assert [load["clients"] for load in found["closed"]] == [1, 2]
    assert [load["offered_rps"] for load in found["open"]] == [20, 40]
    assert all(load["failed"] == 0 and load["good"] for load in found["closed"])
    assert found["closed"][0]["parts_ms"]["engine"] == 4.0


@pytest.mark.parametrize(
    "wrong", [("--clients", "8,1"), ("--clients", "x"), ("--clients", "1.5"), ("--clients", "999"), ("--rates", "0"), ("--seconds", "0")]
)
def test_loads_that_are_none_are_refused(run, world, wrong: tuple[str, str]) -> None:
    done = run("bench", "sentiment", *wrong)
    assert done.status == 2 and not world.paths("POST")


@pytest.mark.parametrize("place", ["missing/curve.svg", "."])
def test_a_picture_that_cannot_be_written_is_told_before_anything_is_measured(run, world, tmp_path: Path, place: str) -> None:
    done = run("bench", "sentiment", *SHORT, "--out", str(tmp_path / place))
    assert done.status == 2 and not world.paths("POST") and not list(tmp_path.iterdir())


def test_an_endpoint_that_is_not_there(run, world) -> None:
    world.gone.add("nothing")
    assert run("bench", "nothing", *SHORT).status == 4


def test_every_part_and_limit_has_its_words() -> None:
    assert {f"bench_part.{name}" for name in NAMES} | {f"bench_limit.{name}" for name in get_args(Limit)} <= table().keys()
