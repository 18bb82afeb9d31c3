"""Queries are judged as they are served: under the grammar of each question, by a network that has learnt nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanlin.compression.bench_client import BenchClient, Scores
from hanlin.datasets import Split
from hanlin.engines.asking import NO_LIMITS
from hanlin.generation import GenerationSettings
from hanlin.pipelines.judging_rows import made_rows, split_of
from hanlin.tasks import TASKS, ModelSpec
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.sql.query import render
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import train

DDL = "CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, genre TEXT, pages INTEGER);"
TINY = {
    "epochs": 1, "hidden_size": 16, "layers": 1, "decoder_layers": 1, "heads": 2, "vocab_size": 300, "batch_size": 8, "rate": 1e-6,
    "max_length": 64, "precision": "fp32", "threads": 1, "evaluations": 1, "train_length": 64, "metric": "loss",
}  # fmt: skip
TASK = TASKS.get("text-to-sql")
QUESTIONS = ["list the history books", "how many books over 300 pages", "what?", "\U0001f600 poetry"]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("queries")
    pairs = [(f"books over {pages} pages", f"SELECT title FROM books WHERE pages > {pages}") for pages in range(10, 26)]
    found = [TASK.examples.read({"text": text, "sql": sql, "schema": DDL}) for text, sql in pairs]
    rows = Split([one.text for one in found], [one.annotation for one in found])
    config = TrainConfig.from_json(TINY, model="transformer", task="text-to-sql")  # type: ignore[arg-type]
    data = TrainData(rows, rows, ())
    train(config, data, out=folder / "out", progress=Silent(), checkpoints=FolderCheckpoints(folder / "checkpoints"))
    return folder / "out"


@pytest.fixture(scope="module")
def client(artifact: Path) -> Iterator[BenchClient]:
    spec = ModelSpec.load(artifact)
    found = BenchClient(artifact, "torch-fp32", threads=1, pad_id=spec.pad_id, writing=GenerationSettings(max_new_tokens=128))
    found.wait_loaded(split_of(QUESTIONS, spec, TextEncoder.load(artifact)))
    yield found
    found.close()


def queries(artifact: Path, scores: Scores) -> list[str]:
    """The rows as SQL. Fails for tokens that are no query."""
    spec = ModelSpec.load(artifact)
    assert spec.queries is not None
    encoded = TASK.encode(TASK.check(QUESTIONS, {"num_beams": 1}, limits=NO_LIMITS), TextEncoder.load(artifact), spec)
    found = []
    for row, settings in zip(scores, encoded.generation or [], strict=True):
        ids = [int(one) for one in row if one]
        found.append(render(settings.grammar.query(ids), spec.queries.schema))  # type: ignore[union-attr]
    return found


def test_what_is_compared_are_queries_that_run(artifact: Path, client: BenchClient) -> None:
    found = queries(artifact, client.score(range(len(QUESTIONS)), max_tokens=2048)[0])
    database = sqlite3.connect(":memory:")
    database.executescript(DDL)
    for sql in found:
        database.execute(sql)
    assert "300" in found[1]  # a number that its question names


def test_neighbours_without_a_grammar_change_nothing(artifact: Path, client: BenchClient) -> None:
    places = range(len(QUESTIONS))
    rows = split_of(QUESTIONS, ModelSpec.load(artifact), TextEncoder.load(artifact)).ids
    found = client.neighbours(places, [list(rows[0])[::-1]] * 3)
    assert queries(artifact, found["alone"]) == queries(artifact, found["padded"]) == queries(artifact, found["among"])


def test_made_sentences_are_questions_too(artifact: Path) -> None:
    rows = made_rows(ModelSpec.load(artifact), TextEncoder.load(artifact)).validation
    assert 0 < len(rows.ids) == len(rows.questions)
