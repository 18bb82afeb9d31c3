"""The tour's stops: each names a corpus, a figure of its task and a baseline that there are; tasks with real rows have one."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hanlin.datasets import Split
from hanlin.datasets.corpora import CORPORA
from hanlin.tasks import TASKS
from hanlin.tasks.base import WRITING_HEADS
from hanlin.training.config import TrainConfig
from hanlin.training.examples import TrainData
from hanlin.training.lesson import LESSONS, Setting
from hanlin.training.option_rules import SCRATCH_MODELS, Case, applies
from hanlin.training.ports import Silent

BENCH = Path(__file__).parents[2] / "bench"
_DDL = "CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT);"
_FRAME = {"predicate": 1, "arguments": [{"start": 0, "end": 1, "role": "ARG0"}]}
SMALL = {"hidden_size": 8, "embedding_size": 8, "heads": 2, "layers": 1, "ngram_buckets": 16, "vocab_size": 300, "max_length": 32}
EXAMPLES: dict[str, list[dict[str, object]]] = {  # of the tasks that have a stop with a network of our own
    "text-classification": [{"text": "fine rooms", "label": "good"}, {"text": "dirty rooms", "label": "bad"}],
    "sentiment": [{"text": "fine rooms", "polarity": "positive"}, {"text": "dirty rooms", "polarity": "negative"}],
    "token-classification": [{"text": f"{name} sleeps", "entities": [{"start": 0, "end": 3, "label": "PER"}]} for name in ("Ada", "Bob")],
    "semantic-role-labelling": [{"tokens": [name, "sleeps"], "frames": [_FRAME]} for name in ("Ada", "Bob")],
    "semantic-parsing": [{"text": f"light the {room}", "intent": "light", "slots": {"room": room}} for room in ("hall", "attic")],
    "translation": [{"source": "red fox", "target": "红狐"}, {"source": "big house", "target": "大屋"}],
    "summarization": [{"text": "a red fox ran", "summary": "fox"}, {"text": "a big house fell", "summary": "house"}],
    "text-to-sql": [{"text": text, "sql": "SELECT title FROM books", "schema": _DDL} for text in ("all titles", "what titles")],
    "fill-mask": [{"text": "one two three four"}, {"text": "five six seven eight"}],
    "text-generation": [{"text": "one two three four"}, {"text": "five six seven eight"}],
}


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


def test_no_task_is_missing(tour: ModuleType) -> None:
    assert {stop.task for stop in tour.STOPS} == {*TASKS.names()}


def test_the_options_of_each_stop_are_those_of_a_training(tour: ModuleType) -> None:
    for stop in tour.STOPS:
        if stop.model in SCRATCH_MODELS:
            TrainConfig.from_json(stop.options, model=stop.model, task=stop.task)
        else:
            assert stop.model in tour.BASES, stop
            assert TASKS.get(stop.task).head not in WRITING_HEADS, "the bases read"
            TrainConfig.from_json(stop.options, model="base", task=stop.task)


def test_each_task_takes_the_networks_of_its_stops(tour: ModuleType, tmp_path: Path) -> None:
    """Two examples are enough to see whether a lesson refuses its network."""
    for task, model in sorted({(stop.task, stop.model) for stop in tour.STOPS if stop.model in SCRATCH_MODELS}):
        rows = [TASKS.get(task).examples.read(fields) for fields in EXAMPLES[task]]
        split = Split([row.text for row in rows], [row.annotation for row in rows])
        data = TrainData(split, split, tuple(sorted({label for row in rows for label in row.labels})))
        small = {name: value for name, value in SMALL.items() if applies(name, Case(model, task))}
        config = TrainConfig.from_json({**small, "min_count": 1}, model=model, task=task)
        (tmp_path / task / model).mkdir(parents=True)
        course = LESSONS.get(task).prepare(Setting(config, data, tmp_path / task / model, Silent()))
        assert len(course.lengths) >= 1


def test_the_page_says_what_was_found(tour: ModuleType) -> None:
    page_of = importlib.import_module("tour_page").page  # which the tour has loaded
    line = {
        "stop": "review-aspects-zh",
        "task": "sentiment", "kind": "of aspects", "corpus": "review-aspects-zh", "languages": ["zh"], "nature": "silver", "rows": 2500,
        "model": "lstm", "options": {"epochs": 3}, "figure": "accuracy", "baseline": 81.5, "ours": 79.2, "p50_ms": 3.1, "seconds": 60,
        "whole_seconds": 65, "cpu_seconds": 40,
    }  # fmt: skip
    page = page_of([line], "2 cores of a Chip; quiet.", 65)
    row = "| `review-aspects-zh` (zh) | **silver** | 2,500 | lstm, epochs 3 | accuracy | 81.5 | 79.2 | 3.1 ms | 60 s | 40 s |"
    assert f"| sentiment, of aspects {row}" in page
    assert "1 stops, in 1 min 5 s by the clock; 0 min of processor time" in page
    assert "Of 1 stops with a baseline 0 are above it, 1 below, 0 level." in page
    assert "earlier budget" not in page
    assert "epochs 3, split 70/10/20 | accuracy" in page_of([line | {"split": "70/10/20"}], "2 cores of a Chip; quiet.", 65)
    for earlier in ({"options": {"epochs": 1}}, {"rows": 2501}, {"split": "60/20/20"}):
        told = page_of([line | earlier], "2 cores of a Chip; quiet.", None)
        assert "1 stops, not in one run" in told
        assert "Read with an earlier budget than the stop has now: `review-aspects-zh`." in told


def test_pages_count_the_stops_above_their_baseline(tour: ModuleType) -> None:
    found = importlib.import_module("tour_page")
    told = found.standing(json.loads(found.FIGURES.read_text(encoding="utf-8"))["stops"])
    for page in (found.PAGE, found.PAGE.with_name("benchmarks.md")):
        assert told in " ".join(page.read_text(encoding="utf-8").split()), page
    line = {"baseline": 50.0, "ours": 50.0}
    assert found.standing([line, line | {"ours": 51.0}, line | {"baseline": None}]) == (
        "Of 2 stops with a baseline 1 are above it, 0 below, 1 level."
    )


def test_figures_of_fewer_rows_are_not_written(
    tour: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bug: they stood on the page as if read with the budgets of the stops."""
    monkeypatch.setattr(tour, "baseline", lambda stop: ({"baseline": 50.0}, 0))
    monkeypatch.setattr(tour, "travel", lambda trip, options: None)
    monkeypatch.setattr(sys, "argv", ["tour.py", "--only", "reviews-zh", "--rows", "40", "--write"])
    with pytest.raises(SystemExit):
        tour.main()
    assert "leave out --write" in capsys.readouterr().err


def test_baselines_are_found_before_the_clock_begins(tour: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bug: those that are learnt on a stop's rows took their part of the half hour."""
    begun: list[tuple[list[str], str]] = []
    asked: list[str] = []

    def baseline(stop: object) -> tuple[dict[str, object], int]:
        asked.append(stop.name)  # type: ignore[attr-defined]
        return {"baseline": 50.0}, 0

    class Begun(tour.Trip):  # type: ignore[misc,name-defined]
        def __init__(self, stops: list, baselines: dict) -> None:
            begun.append(([*asked], str(baselines)))
            super().__init__([], baselines)

    monkeypatch.setattr(tour, "baseline", baseline)
    monkeypatch.setattr(tour, "Trip", Begun)
    monkeypatch.setattr(tour, "travel", lambda trip, options: None)
    monkeypatch.setattr(sys, "argv", ["tour.py", "--only", "reviews-zh", "brown-text"])
    assert tour.main() == 0
    assert begun == [(["reviews-zh", "brown-text"], str({"reviews-zh": {"baseline": 50.0}, "brown-text": {"baseline": 50.0}}))]


def test_a_side_takes_the_stops_of_the_base_that_it_has(tour: ModuleType) -> None:
    trip, bases, order = tour.Trip(tour.STOPS, {}), {"minilm"}, []
    while stop := trip.next(bases):
        order.append(stop.model)
    first = [stop.model for stop in tour.STOPS].count("minilm")
    assert {*order[:first]} == {"minilm"}
    assert {*order[-[stop.model for stop in tour.STOPS].count("e5") :]} == {"e5"}
    assert len(order) == len(tour.STOPS)
