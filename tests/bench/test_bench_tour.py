"""The tour's stops: each names a corpus, a figure of its task and a baseline that there are; tasks with real rows have one."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hanlin.datasets.corpora import CORPORA
from hanlin.tasks import TASKS

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def tour() -> ModuleType:
    sys.path.insert(0, str(BENCH))
    try:
        spec = importlib.util.spec_from_file_location("tour", BENCH / "tour.py")
        assert spec is not None
        assert spec.loader is not None
        found = importlib.util.module_from_spec(spec)
        sys.modules["tour"] = found
        spec.loader.exec_module(found)
    finally:
        sys.path.remove(str(BENCH))
    return found


def test_every_stop_names_what_there_is(tour: ModuleType) -> None:
    known = json.loads((BENCH / "corpora.json").read_text(encoding="utf-8"))
    for stop in tour.STOPS:
        assert stop.figure in (*TASKS.get(stop.task).figures, "micro_f1"), stop
        assert not stop.baseline or stop.baseline in known[stop.corpus]["figures"], stop
    assert len({stop.name for stop in tour.STOPS}) == len(tour.STOPS)


def test_a_task_has_a_stop_in_each_language_of_its_rows(tour: ModuleType) -> None:
    visited = {(stop.task, language) for stop in tour.STOPS for language in CORPORA.get(stop.corpus).languages}
    for task in {stop.task for stop in tour.STOPS}:
        for name in CORPORA.names():
            corpus = CORPORA.get(name)
            if corpus.task == task:
                assert {(task, language) for language in corpus.languages if language in {"en", "zh"}} <= visited, name


def test_the_page_says_what_was_found(tour: ModuleType) -> None:
    line = {
        "task": "sentiment", "kind": "of aspects", "corpus": "review-aspects-zh", "languages": ["zh"], "nature": "silver", "rows": 3000,
        "model": "lstm", "options": {"epochs": 3}, "figure": "accuracy", "baseline": 81.5, "ours": 79.2, "p50_ms": 3.1, "seconds": 60,
        "whole_seconds": 65,
    }  # fmt: skip
    page = tour.page([line], "2 cores of a Chip; quiet.")
    row = "| `review-aspects-zh` (zh) | **silver** | 3,000 | lstm, epochs 3 | accuracy | 81.5 | 79.2 | 3.1 ms | 60 s |"
    assert f"| sentiment, of aspects {row}" in page
    assert "1 stops, 1 min 5 s in whole" in page
