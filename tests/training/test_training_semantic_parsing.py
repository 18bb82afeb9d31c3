"""Parsers learn meanings, are saved, and answer the same, always within the schema that training rows showed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import cast

import pytest

from hanlin.datasets import Split
from hanlin.tasks import TASKS, ModelSpec
from hanlin.tasks.meaning_examples import SlotSpan
from hanlin.tasks.meanings import Slot
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.meanings import field_words, labels_of, learn_schema, tags_of
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train

FORM = TASKS.get("semantic-parsing").examples
TINY = {
    "epochs": 15, "batch_size": 16, "rate": 0.01, "hidden_size": 24, "embedding_size": 24, "ngrams": False, "precision": "fp32",
    "threads": 1, "average": 0.0, "min_count": 1, "tokenizer": "word", "dropout": 0.1, "embedding_dropout": 0.0, "label_smoothing": 0.0,
}  # fmt: skip
ROOMS, COLORS = ["kitchen", "hall", "garden"], {"red": "red", "crimson": "red", "blue": "blue"}


def rows(count: int, seed: int) -> Split:
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        room, color, level = chance.choice(ROOMS), chance.choice(list(COLORS)), chance.randrange(1, 10)
        text, intent, slots = chance.choice(
            [
                (f"turn the {room} light {color}", "light", {"room": room, "color": COLORS[color], "kind": "light"}),
                (f"set the {room} to {level}", "level", {"room": room, "level": level}),
                ("what time is it", "time", {}),
            ]
        )
        said = [(slot, words, text.find(words)) for slot, words in (("room", room), ("color", color))]
        spans = [[slot, at, at + len(words)] for slot, words, at in said if at >= 0]
        spans += [["level", len(text) - 1, len(text)]] if intent == "level" else []
        made.append(FORM.read({"text": text, "intent": intent, "slots": slots, "spans": spans}))
    return Split([one.text for one in made], [one.annotation for one in made])


DATA = TrainData(rows(120, 1), rows(30, 2), ())


def run(folder: Path, **options: object) -> TrainReport:
    config = TrainConfig.from_json({**TINY, **options}, model="lstm", task="semantic-parsing")  # type: ignore[dict-item]
    return train(config, DATA, out=folder / "out", progress=Silent(), checkpoints=FolderCheckpoints(folder / "checkpoints"))


def test_a_parser_learns_is_saved_and_answers_the_same(tmp_path: Path) -> None:
    report = run(tmp_path)
    assert report.best > 0.9
    found = evaluate(tmp_path / "out", DATA.validation)
    assert found.metrics.get("exact_match") == pytest.approx(report.best)
    assert found.answers == evaluate(tmp_path / "out", DATA.validation).answers
    schema = ModelSpec.load(tmp_path / "out").meanings
    assert schema is not None
    odd = Split(["crimson crimson the level to 99 purple", "kitchen", "什么"], [DATA.train.labels[0]] * 3)
    assert all(schema.is_valid(answer) for answer in [*found.answers, *evaluate(tmp_path / "out", odd).answers])


def test_the_schema_is_what_training_rows_show() -> None:
    schema = learn_schema(DATA.train.texts, DATA.train.labels)
    assert set(schema.intents) == {"light", "level", "time"}
    assert schema.intents["light"]["color"] == Slot(is_spoken=True, values=("blue", "red"))
    assert schema.intents["light"]["kind"] == Slot(("light",))
    assert schema.intents["level"]["level"] == Slot(is_spoken=True, is_number=True)
    assert schema.lexicon == {"color": {"crimson": ("red",)}}
    labels = labels_of(schema)
    assert {"O", "B-room", "I-color", "intent=time", "kind=", "kind=light"} <= set(labels)
    assert "B-kind" not in labels


def test_tags_and_fields_of_an_example() -> None:
    meaning = json.loads(FORM.read({"text": "the big hall", "intent": "a", "slots": {"room": "big hall", "on": True}}).annotation)
    spans = [("room", 4, 12)]
    places = [None, (0, 3), (4, 7), (8, 12), None]
    assert tags_of([SlotSpan(*span) for span in spans], cast("list[tuple[int, int] | None]", places)) == [
        None,
        "O",
        "B-room",
        "I-room",
        None,
    ]
    assert field_words(meaning) == {"intent": "a", "on": "true"}
