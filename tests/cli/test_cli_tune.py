"""`hanlin tune` against a server that speaks the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

SPACE = {"rate": {"min": 0.0001, "max": 0.01, "log": True}, "layers": [1, 2]}
STUDY = {
    "metric": "accuracy", "space": SPACE, "pruner": "asha", "seed": 0, "seconds": 30.0, "best": 1, "best_value": 0.93, "usual_value": 0.9,
    "importance": {"layers": 0.2, "rate": 0.8},
    "trials": [
        {"number": 0, "state": "complete", "value": 0.9, "options": {"rate": 0.001, "layers": 1}, "seconds": 9.0, "is_usual": True},
        {"number": 1, "state": "complete", "value": 0.93, "options": {"rate": 0.00512345, "layers": 2}, "seconds": 12.0},
        {"number": 2, "state": "pruned", "value": 0.95, "options": {"rate": 0.0001, "layers": 1}, "seconds": 3.0},
        {"number": 3, "state": "failed", "value": None, "options": {"rate": 0.01, "layers": 1}, "seconds": 3.0,
         "reason": {"code": "diverged", "params": {"value": "nan", "step": 7}}},
    ],
}  # fmt: skip
ASKED = ("tune", "--dataset", "reviews-zh", "--model", "lstm", "--name", "sentiment-zh")


def test_tune_sends_what_was_asked_and_shows_the_trials(run, world, tmp_path: Path) -> None:
    world.results["tune"] = {"model": "sentiment-zh", "version": 1, "metrics": {}, "study": STUDY}
    space = tmp_path / "space.toml"
    space.write_text("layers = [1, 2]\n[rate]\nmin = 0.0001\nmax = 0.01\nlog = true\n", encoding="utf-8")
    done = run(
        *ASKED, "--space", str(space), "--trials", "4", "--within", "0.5", "--parallel", "2", "--pruner", "hyperband",
        "--metric", "accuracy", "--set", "epochs=2", "--seed", "5",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert world.jobs["job-1"]["config"] == {
        "task": "text-classification", "dataset": "reviews-zh", "model": "lstm", "name": "sentiment-zh", "seed": 5, "publish": True,
        "options": {"metric": "accuracy", "epochs": 2}, "space": SPACE, "trials": 4, "time_s": 1800.0, "parallel": 2, "pruner": "hyperband",
    }  # fmt: skip
    lines = [line.strip() for line in done.out.splitlines()]
    places = [
        next(index for index, line in enumerate(lines) if text in line) for text in ("★", "without a search)", "ended early", "diverged")
    ]
    assert places == sorted(places), "the best first, then what ended early, then what failed"
    assert "rate=0.00512, layers=2" in lines[places[0]]
    assert "validation accuracy: 0.93, without a search 0.9" in lines
    assert "what mattered: rate 80 % · layers 20 %" in lines
    assert "sentiment-zh:1" in done.out


@pytest.mark.parametrize("space", ['{"rate": ', "[1, 2]", "nowhere.json", "{}x"])
def test_a_space_that_cannot_be_read_is_refused_with_an_example(run, world, space: str) -> None:
    done = run(*ASKED, "--space", space)
    assert done.status == 2
    assert '{"rate": {"min": 0.0001' in done.err
    assert world.jobs == {}


def test_a_space_may_stand_on_the_command_line_and_a_json_file(run, world, tmp_path: Path) -> None:
    path = tmp_path / "space.json"
    path.write_text('{"layers": [1, 2]}', encoding="utf-8")
    for number, space in ((1, '{"layers": [1, 2]}'), (2, str(path))):
        assert run(*ASKED, "--space", space, "--no-wait").status == 0
        assert world.jobs[f"job-{number}"]["config"]["space"] == {"layers": [1, 2]}


def test_without_a_space_the_server_chooses_one(run, world) -> None:
    run(*ASKED, "--no-wait")
    assert "space" not in world.jobs["job-1"]["config"]
