"""Every task takes the whole road through a real server: rows in, trained, deployed, called, and asked for a file of questions."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hanlin.client import Hanlin
from hanlin.tasks import TASKS

pytestmark = pytest.mark.e2e
READS = {
    "epochs": 6, "batch_size": 16, "rate": 0.01, "hidden_size": 16, "embedding_size": 16, "ngrams": False, "precision": "fp32",
    "threads": 1, "average": 0.0, "min_count": 1, "tokenizer": "word", "dropout": 0.1, "embedding_dropout": 0.0, "label_smoothing": 0.0,
}  # fmt: skip
WRITES = {
    "epochs": 12, "hidden_size": 32, "layers": 1, "decoder_layers": 1, "heads": 2, "vocab_size": 280, "batch_size": 16, "rate": 0.006,
    "max_length": 64, "max_target_length": 16, "train_length": 64, "precision": "fp32", "threads": 1, "average": 0.0, "dropout": 0.0,
    "embedding_dropout": 0.0, "label_smoothing": 0.0,
}  # fmt: skip
Rows = list[dict[str, object]]
MOODS = {"lovely": "positive", "usual": "neutral", "awful": "negative"}
SIGNS = {"red": "红", "green": "绿", "fox": "狐", "house": "屋", "big": "大", "runs": "跑"}
NAMES, VERBS, THINGS = ("Ada", "Bob", "Cleo"), ("wrote", "read", "sold"), ("letters", "books")
ROOMS = ("kitchen", "hall", "garden")


@dataclass(frozen=True)
class Road:
    """Rows and options of a task, a question, and what is right of the answer."""

    rows: Callable[[random.Random], Rows]
    question: object
    check: Callable[[Any], None]
    model: str = "lstm"
    options: tuple[tuple[str, object], ...] = tuple(READS.items())


def moods(chance: random.Random) -> Rows:
    """Of an aspect each, so that a text is asked about beside it."""
    words = [chance.choice([*MOODS]) for _ in range(90)]
    return [{"text": f"room {number} was {word}", "aspect": "room", "polarity": MOODS[word]} for number, word in enumerate(words)]


def is_awful(answer: Any) -> None:
    assert (answer[0]["label"], set(answer[0])) == ("negative", {"label", "score", "value"})
    assert -1 <= answer[0]["value"] < 0


def frames(chance: random.Random) -> Rows:
    rows: Rows = []
    for number in range(150):
        tokens = [f"n{number}", chance.choice(NAMES), chance.choice(VERBS), chance.choice(THINGS)]
        tokens = tokens if number % 2 else tokens[1:]
        verb = len(tokens) - 2
        arguments = [{"start": verb - 1, "end": verb, "role": "ARG0"}, {"start": verb + 1, "end": verb + 2, "role": "ARG1"}]
        rows.append({"tokens": [*tokens, "."], "frames": [{"predicate": verb, "arguments": arguments}]})
    return rows


def has_roles(answer: Any) -> None:
    (frame,) = answer
    assert (frame["predicate"], [(one["role"], one["word"]) for one in frame["arguments"]]) == (
        "read",
        [("ARG0", "Ada"), ("ARG1", "books")],
    )


def meanings(chance: random.Random) -> Rows:
    rows: Rows = []
    for number in range(120):
        room = chance.choice(ROOMS)
        rows.append(
            {"text": f"light the {room} for guest{number}", "intent": "light", "slots": {"room": room}}
            if number % 2
            else {"text": f"is it late guest{number}", "intent": "time", "slots": {}}
        )
    return rows


def is_light_in_the_hall(answer: Any) -> None:
    assert (answer["intent"], answer["slots"]) == ("light", {"room": "hall"})


def signs(source: str, target: str) -> Callable[[random.Random], Rows]:
    def make(chance: random.Random) -> Rows:
        said = [chance.choices([*SIGNS], k=chance.randint(1, 3)) for _ in range(160)]
        return [{source: " ".join(words), target: "".join(SIGNS[word] for word in words)} for words in said]

    return make


def is_written(key: str) -> Callable[[Any], None]:
    def check(answer: Any) -> None:
        assert answer[key]
        assert set(answer[key]) <= set("".join(SIGNS.values()))

    return check


WRITER = {"model": "transformer", "options": tuple(WRITES.items())}
ROADS = {
    "sentiment": Road(moods, {"text": "room 7 was awful", "text_pair": "room"}, is_awful),
    "semantic-role-labelling": Road(frames, "Ada read books .", has_roles),
    "semantic-parsing": Road(
        meanings, "light the hall for guest3", is_light_in_the_hall, options=tuple({**READS, "epochs": 15, "hidden_size": 24}.items())
    ),
    "translation": Road(signs("source", "target"), "red fox", is_written("translation_text"), **WRITER),
    "summarization": Road(signs("text", "summary"), "big house", is_written("summary_text"), **WRITER),
}
ELSEWHERE = {  # the files in which the other tasks take it, each with more to show
    "text-classification": "batch", "token-classification": "tagging", "question-answering": "questions", "fill-mask": "pretraining",
    "embedding": "retrieval", "reranking": "retrieval", "text-generation": "generation", "text-to-sql": "queries",
}  # fmt: skip


@pytest.fixture(scope="module")
def jobs(client: Hanlin, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The trainings of all roads, under way."""
    folder, chance = tmp_path_factory.mktemp("rows"), random.Random(4)
    found, added = {}, {}
    for task, road in ROADS.items():
        lines = [json.dumps(row, ensure_ascii=False) for row in road.rows(chance)]
        (folder / f"{task}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        added[task] = client.datasets.add(f"{task}-rows", folder / f"{task}.jsonl", task=task).id
    for task, job in added.items():
        client.jobs.wait(job, timeout=120)
        road = ROADS[task]
        asked = {"dataset": f"{task}-rows", "model": road.model, "name": task, "task": task, "options": dict(road.options)}
        found[task] = client.jobs.submit("train", asked).id
    return found


@pytest.mark.parametrize("task", ROADS)
def test_a_task_takes_the_road(client: Hanlin, jobs: dict[str, str], task: str, tmp_path: Path) -> None:
    road = ROADS[task]
    trained = client.jobs.wait(jobs[task], timeout=600).result
    assert trained is not None
    assert trained["certificate"]["is_passed"]
    assert TASKS.get(task).main_metric in client.models.get(task).versions[0].metrics
    client.deployments.wait(client.deployments.create(task, task), timeout=120)
    answer = client.predict(task, road.question)
    road.check(answer)
    (tmp_path / "rows.jsonl").write_text("\n".join([json.dumps({"inputs": road.question}), '{"inputs": ""}']), encoding="utf-8")
    batch = client.jobs.wait(client.batches.submit(task, tmp_path / "rows.jsonl").id, timeout=120)
    client.batches.fetch(batch, tmp_path / "out.jsonl")
    (line,) = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    road.check(json.loads(line)["result"])
    client.batches.fetch(batch, tmp_path / "bad.jsonl", errors=True)
    assert json.loads((tmp_path / "bad.jsonl").read_text())["error"]["code"] == "empty_text"


def test_no_task_is_missing() -> None:
    assert {*ROADS, *ELSEWHERE} == {*TASKS.names()}
    for task, name in ELSEWHERE.items():
        text = (Path(__file__).parent / f"test_app_{name}.py").read_text(encoding="utf-8")
        assert (f'"{task}"' in text, "batches.submit(" in text) == (True, True), task
