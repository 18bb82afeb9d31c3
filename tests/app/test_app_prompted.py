"""A model of texts that is asked for other tasks takes their road through a real server, and is judged by their figures.

Its weights are random: what it writes is nonsense in the right form. Translation, which so small a network can learn, is with
`test_app_generation`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.engines.constraint_forms import END, make_writer

from hanlin.client import Hanlin
from hanlin.datasets.splits import split_of
from hanlin.generation import GenerationSettings
from hanlin.tasks import TASKS
from hanlin.tasks.spec import ModelSpec

pytestmark = pytest.mark.e2e
SPLIT = "20/10/70"
ROOMS, COLORS, TIMES = ("kitchen", "hall", "客厅"), ("red", "green", "绿色"), ("nine", "noon", "六点")
INTENTS: Any = {"light": {"room": {"type": "string"}, "color": {"enum": [*COLORS]}, "is_on": {"type": "boolean"}}, "time": {}}


@dataclass(frozen=True)
class Asked:
    """What a task is asked with: rows, the text of each by which it is split, its question, its gold, and what is right of an answer."""

    prompt: dict[str, Any]
    rows: list[dict[str, Any]]
    text: str
    question: Callable[[dict[str, Any]], Any]
    gold: Callable[[dict[str, Any]], dict[str, Any]]
    check: Callable[[dict[str, Any], Any], None]


def is_summary(_row: dict[str, Any], answer: Any) -> None:
    assert 3 <= len(answer["summary_text"]) <= 20 or answer["finish_reason"] == "length"
    assert set(answer["summary_text"]) <= set("abcdefghijklmnopqrstuvwxyz ")


def is_cited(row: dict[str, Any], answer: Any) -> None:
    assert row["context"][answer["start"] : answer["end"]] == answer["answer"] != ""
    assert 0 <= answer["score"] <= 1


def check_documents(client: Hanlin, endpoint: str) -> None:
    """An answer out of documents names the one that it stands in, and where."""
    documents = [{"id": "faq", "text": "We open at nine.", "start": 7}, "Bring a bag.", {"id": 9, "text": "营业至六点。"}]
    texts = {"faq": "-" * 7 + "We open at nine.", 1: "Bring a bag.", 9: "营业至六点。"}
    for asked in ("When do we open?", "几点关门？", "a bag"):
        answer: Any = client.predict(endpoint, {"question": asked, "documents": documents})
        assert texts[answer["document"]][answer["start"] : answer["end"]] == answer["answer"] != ""


def is_meaning(row: dict[str, Any], answer: Any) -> None:
    rules = INTENTS[answer["intent"]]
    assert answer["slots"].keys() <= rules.keys()
    assert answer["slots"].get("color", "red") in COLORS
    assert answer["slots"].get("room", "light") in row["text"]
    assert isinstance(answer["slots"].get("is_on", True), bool)
    assert answer["implied"].keys() | {span["slot"] for span in answer["spans"]} == answer["slots"].keys()


ASKED = {
    "summarization": Asked(
        {"ask": "Shorten: {text}", "grammar": {"kind": "regex", "text": "[a-z ]{3,20}"}},
        [{"text": f"note {number}: {room}, {color}", "summary": f"{color} {room}"}
         for number in range(2) for room in ROOMS for color in COLORS],
        "text", lambda row: row["text"], lambda row: {"target": row["summary"]}, is_summary,
    ),
    "question-answering": Asked(
        {"ask": "{passages}\nQ: {question}"},
        [{"context": f"Shop {number} opens at {time}. Bring a bag.", "question": "When?", "answers": [time]}
         for number in range(6) for time in TIMES],
        "context", lambda row: {name: row[name] for name in ("question", "context")},
        lambda row: {"answers": [{"text": row["answers"][0]}]}, is_cited,
    ),
    "semantic-parsing": Asked(
        {"ask": "{text}", "system": "{intents}", "schema": {"intents": INTENTS, "words": {"color": {"crimson": "red"}}}},
        [{"text": f"{number}: light the {room} {color}", "intent": "light", "slots": {"room": room, "color": color}}
         for number in range(2) for room in ROOMS for color in COLORS],
        "text", lambda row: row["text"], lambda row: {name: row[name] for name in ("intent", "slots")}, is_meaning,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def scribe(client: Hanlin, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The network that is asked."""
    folder = make_writer(tmp_path_factory.mktemp("scribe"))
    ModelSpec("text-generation", (), 900, 0, generation=GenerationSettings(max_new_tokens=12, stop_ids=(END,))).save(folder)
    client.jobs.wait(client.models.add("scribe", folder, task="text-generation").id, timeout=300)
    return "scribe"


@pytest.mark.parametrize("task", ASKED)
def test_answers_are_in_form_and_figures_are_the_tasks_own(client: Hanlin, scribe: str, tmp_path: Path, task: str) -> None:
    asked, name = ASKED[task], f"asked-{task}"
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in asked.rows), encoding="utf-8")
    added = client.datasets.add(name, tmp_path / "rows.jsonl", task=task, options={"split": SPLIT})
    client.jobs.wait(added.id, timeout=120)
    (tmp_path / "prompt.json").write_text(json.dumps(asked.prompt, ensure_ascii=False), encoding="utf-8")
    job = client.models.add(name, tmp_path / "prompt.json", task=task, rows=name, base=scribe)
    made = client.jobs.wait(job.id, timeout=300).result
    assert made is not None
    assert made["certificate"]["is_passed"]
    evaluated = client.jobs.wait(client.jobs.submit("evaluate", {"model": name, "dataset": name}).id, timeout=300).result
    assert evaluated is not None
    client.deployments.wait(client.deployments.create(name, name), timeout=120)
    held = [row for row in asked.rows if split_of(row[asked.text], SPLIT) == "test"]
    answers: Any = client.predict(name, [asked.question(row) for row in held])
    for row, answer in zip(held, answers, strict=True):
        asked.check(row, answer)
    if task == "question-answering":
        check_documents(client, name)
    gold = [json.dumps(asked.gold(row), ensure_ascii=False) for row in held]
    figures = {"rows": len(held), **dict(TASKS.get(task).quality(answers, gold, ()).values)}
    assert {figure: evaluated["metrics"][figure] for figure in figures} == pytest.approx(figures)
    assert {figure: made["metrics"][figure] for figure in figures} == pytest.approx(figures)
    assert TASKS.get(task).main_metric in figures
