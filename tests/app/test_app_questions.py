"""The road of a reader through a real server: SQuAD's JSON in, a compressed service out that answers with a piece of the caller's text."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from hanlin.client import Hanlin
from hanlin.errors import InvalidInput, NotFound

pytestmark = pytest.mark.e2e
TINY = {"epochs": 25, "batch_size": 16, "rate": 2e-3, "dropout": 0.0, "precision": "fp32", "threads": 1}
PLACES, TIMES, FILLER = ["北京", "Paris", "Rome"], ["nine", "six", "noon"], [f"w{number}" for number in range(12)]


def squad(count: int) -> str:
    """Articles of a paragraph each: one question for a place or a time that stands in it, and one for what does not."""
    chance = random.Random(1)
    articles = []
    for number in range(count):
        place, time = chance.choice(PLACES), chance.choice(TIMES)
        asked, word, absent = chance.choice([("where", place, "when"), ("when", time, "where")])
        words = chance.choices(FILLER, k=chance.randrange(3, 7))
        words.insert(chance.randrange(len(words) + 1), word)
        context = "  ".join(words)
        found = {"id": f"a{number}", "question": asked, "answers": [{"text": word, "answer_start": context.index(word)}]}
        none = {"id": f"b{number}", "question": absent, "answers": [], "is_impossible": True}
        articles.append({"title": "t", "paragraphs": [{"context": context, "qas": [found, none] if number % 4 == 0 else [found]}]})
    return json.dumps({"version": "v2.0", "data": articles}, ensure_ascii=False)


@pytest.fixture(scope="module")
def reader(client: Hanlin, make_encoder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> dict:
    """A network trained on 500 questions, compressed and served as `reader`."""
    folder = tmp_path_factory.mktemp("rows")
    (folder / "words.json").write_text(squad(400), encoding="utf-8")
    added = client.datasets.add("words", folder / "words.json", task="question-answering", options={"format": "squad"})
    report = client.jobs.wait(added.id, timeout=120).result
    words = [*FILLER, *PLACES, *TIMES, "where", "when"]
    base = make_encoder(folder / "base", words, "BertForSequenceClassification", id2label={0: "a", 1: "b"})
    files = [file.model_dump() for file in client.blobs.upload(base)]
    taken = {"name": "base", "files": files, "task": "text-classification"}
    client.jobs.wait(client.jobs.submit("import", taken).id, timeout=300)
    config = {"dataset": "words", "model": "base", "name": "reader", "task": "question-answering", "options": TINY}
    trained = client.jobs.wait(client.jobs.submit("train", config).id, timeout=300).result
    asked = {"model": "reader", "dataset": "words", "target": "latency", "variants": ["onnxruntime-fp32"]}
    compressed = client.jobs.wait(client.jobs.submit("compress", asked).id, timeout=300).result
    client.deployments.wait(client.deployments.create("reader", "reader"), timeout=120)
    return {"report": report, "trained": trained, "compressed": compressed}


def test_it_is_measured_by_answers_and_certified(client: Hanlin, reader: dict) -> None:
    assert reader["trained"]["certificate"]["is_passed"]
    version = client.models.get("reader").versions[0]
    assert version.metrics["f1"] > 0.7
    assert version.metrics["no_answer_f1"] > 0.5
    assert all(row["status"] == "ok" for row in reader["compressed"]["report"]["variants"])
    evaluated = client.jobs.wait(client.jobs.submit("evaluate", {"model": "reader", "dataset": "words"}).id, timeout=120).result
    assert evaluated is not None
    assert evaluated["metrics"]["f1"] == pytest.approx(version.metrics["f1"], abs=0.01)


def test_the_answer_is_a_piece_of_the_context_as_it_was_sent(client: Hanlin, reader: dict) -> None:
    context = "w1  w2\r\n\r\n北京  w3"
    found = client.predict("reader", {"question": "where", "context": context})
    assert found["answer"] == "北京" == context[found["start"] : found["end"]]
    none = client.predict("reader", {"question": "when", "context": context})
    assert (none["answer"], none["start"], none["end"]) == ("", 0, 0)
    assert none["no_answer_score"] > found["no_answer_score"]
    with pytest.raises(InvalidInput) as caught:
        client.predict("reader", [{"question": "where", "context": context}, {"question": "where"}])
    assert (caught.value.code, caught.value.params["index"]) == ("invalid_question", 1)


def test_a_stored_set_is_asked_about(client: Hanlin, reader: dict, server) -> None:
    documents = [{"id": "shop", "text": "w1  where  Paris  w3"}, {"id": "park", "text": "w5  w6"}]
    content = "\n".join(map(json.dumps, documents)).encode()
    headers = {"authorization": f"Bearer {server.key}"}
    form = {"files": {"file": ("set.jsonl", content)}, "data": {"purpose": "user_data"}}
    kept = httpx.post(f"{server.url}/v1/files", headers=headers, **form).json()
    assert kept["purpose"] == "user_data"
    found = client.predict("reader", {"question": "where", "documents": kept["id"]}, passages=1)
    sent = client.predict("reader", {"question": "where", "documents": [*documents]}, passages=1)
    assert found == sent
    assert found["document"] == "shop"
    assert found["answer"] == "Paris" == documents[0]["text"][found["start"] : found["end"]]
    httpx.delete(f"{server.url}/v1/files/{kept['id']}", headers=headers).raise_for_status()
    with pytest.raises(NotFound):
        client.predict("reader", {"question": "where", "documents": kept["id"]})


def test_a_batch_answers_question_by_question(client: Hanlin, reader: dict, tmp_path: Path) -> None:
    rows = [{"inputs": {"question": "where", "context": f"w1  {place}"}} for place in PLACES]
    lines = [*map(json.dumps, rows), '{"inputs": {"question": "where"}}']
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    job = client.jobs.wait(client.batches.submit("reader", tmp_path / "rows.jsonl").id, timeout=120)
    client.batches.fetch(job, tmp_path / "out.jsonl")
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["result"]["answer"] for row in found] == PLACES
    client.batches.fetch(job, tmp_path / "bad.jsonl", errors=True)
    assert json.loads((tmp_path / "bad.jsonl").read_text())["error"]["code"] == "invalid_question"
