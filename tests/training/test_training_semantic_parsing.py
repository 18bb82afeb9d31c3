"""Parsers learn meanings, are saved, and answer the same, always within the schema that training rows showed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import cast

import pytest

from hanlin.datasets import Split
from hanlin.errors import InvalidInput
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
from hanlin.types import JsonObject

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


GIVEN = {"intents": {"light": {"color": {"enum": ["red", "blue", "green"]}}}, "words": {"color": {"emerald": "green"}}}


def test_a_given_schema_has_values_that_no_row_shows(tmp_path: Path) -> None:
    """Kitchens have names that the tokenizer does not know, so that the network knows an unknown word by its place."""
    names = [f"n{number:06d}" for number in range(60)]  # as long as the word, so that spans stay
    texts, annotations = (
        [row.replace("kitchen", names[place % len(names)]) for place, row in enumerate(column)]
        for column in (DATA.train.texts, DATA.train.labels)
    )
    rows = TrainData(Split(texts, annotations), DATA.validation, ())
    asked = Split([f"turn the hall light {color}" for color in ("green", "emerald", "purple")], [DATA.train.labels[0]] * 3)
    for name, schema, colors in (("without", None, [None, None, None]), ("with", GIVEN, ["green", "green", None])):
        config = TrainConfig.from_json({**TINY, "min_count": 6, "schema": schema}, model="lstm", task="semantic-parsing")  # type: ignore[dict-item]
        assert TrainConfig.from_json(config.to_json(), model="lstm", task="semantic-parsing") == config
        out, checkpoints = tmp_path / name, FolderCheckpoints(tmp_path / f"{name}-checkpoints")
        train(config, rows, out=out, progress=Silent(), checkpoints=checkpoints)
        found = [cast("JsonObject", answer) for answer in evaluate(out, asked).answers]
        assert [cast("JsonObject", answer["slots"]).get("color") for answer in found] == colors
        meanings = ModelSpec.load(out).meanings
        assert meanings is not None
        assert all(meanings.is_valid(answer) for answer in found)


def test_rows_against_the_schema_and_schemas_of_other_tasks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as contradicted:
        run(tmp_path, schema={"intents": {"light": {"color": {"enum": ["red"]}}}})
    assert contradicted.value.code == "meanings_contradicted"
    with pytest.raises(InvalidInput) as foreign:
        TrainConfig.from_json({"schema": GIVEN}, model="lstm", task="token-classification")  # type: ignore[dict-item]
    assert foreign.value.code == "option_without_effect"
    with pytest.raises(InvalidInput) as wrong:
        TrainConfig.from_json({"schema": {"intents": {}}}, model="lstm", task="semantic-parsing")
    assert wrong.value.code == "meanings_not_understood"


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
