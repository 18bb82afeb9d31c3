"""The road of questions over tables through a real server: whatever is asked, and by whichever variant, the answer is a query that runs."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path

import pytest

from hanlin.client import Hanlin

pytestmark = pytest.mark.e2e
DDL = "CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, genre TEXT, pages INTEGER);"
TINY = {
    "epochs": 4, "hidden_size": 32, "layers": 1, "decoder_layers": 1, "heads": 2, "vocab_size": 320, "batch_size": 16, "rate": 0.005,
    "max_length": 64, "precision": "fp32", "threads": 1, "evaluations": 1, "train_length": 64, "metric": "loss", "dropout": 0.0,
}  # fmt: skip
VARIANTS = ["torch-bf16", "torch-int8"]
STRANGE = ["what?", "books 7 of 12 by 3", "\U0001f600 poetry'; DROP TABLE books", "列出历史书", "x" * 5000]


def rows(count: int) -> str:
    chance, lines = random.Random(1), []
    for _ in range(count):
        genre, pages = chance.choice(["history", "poetry", "travel"]), chance.randint(10, 900)
        text, sql = chance.choice(
            [
                (f"how many {genre} books", f"SELECT COUNT(*) FROM books WHERE genre = '{genre}'"),
                (f"books over {pages} pages", f"SELECT title FROM books WHERE pages > {pages}"),
            ]
        )
        lines.append(json.dumps({"text": text, "sql": sql, "schema": DDL}))
    return "\n".join(lines)


@pytest.fixture(scope="module")
def librarian(client: Hanlin, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """A network that has learnt a little, and its variants: what training and compression said."""
    path: Path = tmp_path_factory.mktemp("rows") / "library.jsonl"
    path.write_text(rows(240), encoding="utf-8")
    client.jobs.wait(client.datasets.add("library", path, task="text-to-sql").id, timeout=120)
    config = {"dataset": "library", "model": "transformer", "name": "librarian", "task": "text-to-sql", "options": TINY}
    trained = client.jobs.wait(client.jobs.submit("train", config).id, timeout=900).result
    asked = {"model": "librarian", "dataset": "library", "target": "latency", "variants": VARIANTS, "budget": 100, "keep_losers": True}
    compressed = client.jobs.wait(client.jobs.submit("compress", asked).id, timeout=900).result
    assert trained is not None
    assert compressed is not None
    return {"trained": trained, "compressed": compressed}


def test_variants_are_certified_and_every_answer_is_a_query_over_the_schema(client: Hanlin, librarian: dict) -> None:
    assert librarian["trained"]["certificate"]["is_passed"]
    report = {row["variant"]: row for row in librarian["compressed"]["report"]["variants"]}
    assert report["torch-fp32"]["status"] == "ok"
    assert report["torch-fp32"]["label_agreement"] == 1
    assert report.keys() == {"torch-fp32", *VARIANTS}
    assert all(row["neighbour_difference"] is not None for row in report.values())
    chosen = librarian["compressed"]["chosen"]
    database = sqlite3.connect(":memory:")
    database.executescript(DDL)
    for variant in {"torch-fp32", chosen}:
        client.deployments.wait(client.deployments.create("librarian", "librarian", variant=variant), timeout=120)
        found = client.predict("librarian", ["books over 321 pages", "how many poetry books", *STRANGE], truncation=True)
        assert len(found) == 2 + len(STRANGE)
        for answer in found:
            database.execute(answer["sql"])
            assert 0 <= answer["score"] <= 1
        assert "321" in found[0]["sql"]
        assert "poetry" in found[1]["sql"]
        assert client.predict("librarian", STRANGE[1], num_beams=1)["sql"]
    assert database.execute("SELECT COUNT(*) FROM books").fetchall() == [(0,)]


def test_a_batch_answers_question_by_question(client: Hanlin, librarian: dict, tmp_path: Path) -> None:
    client.deployments.wait(client.deployments.create("librarian", "books"), timeout=120)
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps({"inputs": text}) for text in ["how many travel books", STRANGE[1]]))
    job = client.jobs.wait(client.batches.submit("books", tmp_path / "rows.jsonl").id, timeout=120)
    client.batches.fetch(job, tmp_path / "out.jsonl")
    found = [json.loads(line)["result"]["sql"] for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert found == [client.predict("books", text)["sql"] for text in ["how many travel books", STRANGE[1]]]
