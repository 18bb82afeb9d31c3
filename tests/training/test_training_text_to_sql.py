"""A network learns to write queries, is saved, and answers the same: always with a query that runs."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import cast

import pytest
from tests.training.explained import Explained

from hanlin.datasets import Split
from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, ModelSpec
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig, preset
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train
from hanlin.types import JsonObject

DDL = "CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, genre TEXT, pages INTEGER);"
TINY = {
    "epochs": 25, "hidden_size": 32, "layers": 1, "decoder_layers": 1, "heads": 2, "vocab_size": 320, "batch_size": 16, "rate": 0.005,
    "max_length": 64, "precision": "fp32", "threads": 1, "average": 0.0, "dropout": 0.0, "embedding_dropout": 0.0, "label_smoothing": 0.0,
    "evaluations": 1, "train_length": 64, "metric": "loss",
}  # fmt: skip


def rows(count: int, seed: int, ddl: str = DDL) -> Split:
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        genre, pages = chance.choice(["history", "poetry", "travel"]), chance.randint(10, 900)
        text, sql = chance.choice(
            [
                (f"list the {genre} books", f"SELECT title FROM books WHERE genre = '{genre}'"),
                (f"how many {genre} books", f"SELECT COUNT(*) FROM books WHERE genre = '{genre}'"),
                (f"books over {pages} pages", f"SELECT title FROM books WHERE pages > {pages}"),
            ]
        )
        found.append(TASKS.get("text-to-sql").examples.read({"text": text, "sql": sql, "schema": ddl}))
    return Split([one.text for one in found], [one.annotation for one in found])


DATA = TrainData(rows(96, 1), rows(24, 2), ())


def run(folder: Path, data: TrainData = DATA, model: str = "transformer") -> TrainReport:
    config = TrainConfig.from_json(TINY if model == "transformer" else {}, model=model, task="text-to-sql")  # type: ignore[arg-type]
    return train(config, data, out=folder / "out", progress=Silent(), checkpoints=FolderCheckpoints(folder / "checkpoints"))


def test_a_network_learns_queries_and_answers_the_same(tmp_path: Path) -> None:
    run(tmp_path)
    found = evaluate(tmp_path / "out", DATA.validation)
    assert found.metrics.get("execution_accuracy") > 0.9
    assert found.answers == evaluate(tmp_path / "out", DATA.validation).answers
    settings = ModelSpec.load(tmp_path / "out").queries
    assert settings is not None
    assert settings.is_whole
    assert settings.known["books"]["genre"]
    database = sqlite3.connect(":memory:")
    database.executescript(DDL)
    strange = Split(["what?", "books 7 of 12 by 3", "\U0001f600 poetry"], [DATA.validation.labels[0]] * 3)
    for answer in evaluate(tmp_path / "out", strange).answers:
        database.execute(str(cast("JsonObject", answer)["sql"]))
    check_explained(tmp_path / "out")


def check_explained(folder: Path) -> None:
    """The words that a query hangs on: the form by its chances, the values by what is written without them."""
    asked = Explained(folder, "text-to-sql", "how many history books", {})
    form, letters = asked.targets
    assert (form.kind, letters.kind, form.name) == ("written", "rewritten", letters.name)
    lost = asked.lost(form)
    assert min(lost["how"], lost["history"]) > 0.3 > 10 * max(lost["many"], lost["books"])
    asked = Explained(folder, "text-to-sql", "books over 77 pages", {})
    letters = asked.targets[1]
    assert letters.name == "SELECT title FROM books WHERE pages > 77"
    assert asked.left(letters) == 1
    assert asked.left(letters, "77") < 0.95


OTHER = "CREATE TABLE books (id INTEGER PRIMARY KEY, name TEXT);"


@pytest.mark.parametrize(("model", "more", "code"), [("lstm", DDL, "network_for_another_task"), ("transformer", OTHER, "many_schemas")])
def test_what_cannot_be_learned_is_refused(tmp_path: Path, model: str, more: str, code: str) -> None:
    other = TASKS.get("text-to-sql").examples.read({"text": "how many", "sql": "SELECT COUNT(*) FROM books", "schema": more})
    data = TrainData(Split([*DATA.train.texts, other.text], [*DATA.train.labels, other.annotation]), DATA.validation, ())
    with pytest.raises(InvalidInput) as refused:
        run(tmp_path, data, model)
    assert refused.value.code == code


def test_the_preset_watches_what_queries_find() -> None:
    assert preset("transformer", "text-to-sql").metric == "execution_accuracy"
