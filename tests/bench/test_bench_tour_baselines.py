"""Baselines of the tour that learn on a stop's own rows: what they answer is counted by hand here."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hanlin.datasets import Split
from hanlin.tasks import TASKS

BENCH = Path(__file__).parents[2] / "bench"
SMALL = {"hidden_size": 8, "heads": 2, "layers": 1, "vocab_size": 300, "train_length": 32, "max_length": 32, "min_count": 1}


@pytest.fixture
def baselines(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("tour_baselines")


def tagged(*rows: list[tuple[str, str]]) -> Split:
    form = TASKS.get("token-classification").examples
    found = [form.read({"tokens": [word for word, _ in row], "tags": [tag for _, tag in row]}) for row in rows]
    return Split([example.text for example in found], [example.annotation for example in found])


def file_of(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_words_are_cut_by_the_longest_match_and_have_their_usual_tag(baselines: ModuleType) -> None:
    train = tagged([("北京", "ns"), ("人", "n")], [("北京", "ns"), ("人", "n"), ("北", "f")])
    assert baselines.joint(train, tagged([("北京", "ns"), ("人", "n")])) == {"f1": 1.0}
    # 北京 | 人 is answered: of three words one is right, of the answered two one
    assert baselines.joint(train, tagged([("北", "f"), ("京", "n"), ("人", "n")])) == {"f1": pytest.approx(0.4)}


def test_a_pair_that_was_counted_stands_before_the_commonest_token(baselines: ModuleType) -> None:
    single, following = np.array([0.5, 0.3, 0.2]), Counter({2: 3})
    assert baselines._chance(following, single, 2) == pytest.approx((3 + 0.2) / 4)
    assert baselines._chance(following, single, 0) == pytest.approx(0.5 / 4)
    assert baselines._chance(Counter(), single, 0) == 0.5


def test_hidden_tokens_are_those_of_the_exam(baselines: ModuleType, tmp_path: Path) -> None:
    """The commonest word is found everywhere, the four next ones among ten."""
    rows: list[dict[str, object]] = [{"text": f"the {'abcd'[number % 4] * 3} the x{number}"} for number in range(200)]
    found = baselines.measured("fill-mask", "transformer", SMALL, file_of(tmp_path / "rows.jsonl", rows), tmp_path)
    assert 0.2 < found["accuracy"] < 0.6
    assert found["accuracy"] < found["top_10"] <= 1
    assert found["perplexity"] > 1


def test_next_tokens_of_talks_are_those_of_the_assistant(baselines: ModuleType, tmp_path: Path) -> None:
    def talk(number: int, answer: str) -> dict[str, object]:
        return {"messages": [{"role": "user", "content": f"ask {number}"}, {"role": "assistant", "content": answer}]}

    options = SMALL | {"max_length": 64, "train_length": 64}
    same = [talk(number, "one two three four") for number in range(200)]
    (tmp_path / "same").mkdir()
    found = baselines.measured("text-generation", "transformer", options, file_of(tmp_path / "same.jsonl", same), tmp_path / "same")
    assert found["accuracy"] > 0.7
    assert found["perplexity"] < 2
    assert 0 < found["bits_per_byte"] < 1


def test_a_stop_has_the_baseline_of_its_corpus_or_one_of_its_rows(baselines: ModuleType, tmp_path: Path) -> None:
    stops = {stop.name: stop for stop in baselines.STOPS}
    known = json.loads((BENCH / "corpora.json").read_text(encoding="utf-8"))
    told = baselines.baseline_of(stops["reviews-zh"], tmp_path / "unread.jsonl")
    assert told == {"baseline": round(known["reviews-zh"]["figures"]["accuracy"], 1), "baseline_on": "corpus"}
    rows: list[dict[str, object]] = [{"tokens": ["北京", "人", str(number)], "tags": ["ns", "n", "m"]} for number in range(60)]
    told = baselines.baseline_of(stops["newspaper-pos"], file_of(tmp_path / "rows.jsonl", rows))
    assert told["baseline_on"] == "rows"
    assert 50 < told["baseline"] < 100
    assert told["baseline_metrics"]["f1"] == pytest.approx(told["baseline"] / 100, abs=0.001)


def test_every_visited_stop_has_a_baseline() -> None:
    lines = json.loads((BENCH / "tour.json").read_text(encoding="utf-8"))["stops"]
    assert [line["stop"] for line in lines if line["baseline"] is None] == []
