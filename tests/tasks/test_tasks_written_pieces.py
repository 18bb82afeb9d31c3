"""Where what was written stands in its text: whole words only, as the grammar has it."""

from __future__ import annotations

import re

import pytest

from hanlin.errors import EngineFailed
from hanlin.generation import FinishReason, Generated
from hanlin.tasks.documents import Document, Passage
from hanlin.tasks.meanings import MeaningSchema, Slot
from hanlin.tasks.prompted_answers import read_answer
from hanlin.tasks.prompted_meanings import read_written
from hanlin.tasks.written_pieces import place_of


@pytest.mark.parametrize(
    ("piece", "text", "place"),
    [
        ("on", "the front light on", (16, 18)),
        ("red", "a hundred red lamps", (10, 13)),
        ("red", "a hundred lamps", None),
        ("a a", "xa a a", (3, 6)),
        ("on", "turn it on.", (8, 10)),
        ("厨房", "打开厨房的灯", (2, 4)),
        ("灯", "开灯on", (1, 2)),
    ],
)
def test_a_piece_stands_between_words(piece: str, text: str, place: tuple[int, int] | None) -> None:
    assert place_of(re.compile(piece), text) == place


@pytest.mark.parametrize(
    ("text", "place"),
    [("hundred red", (8, 11)), ("hundred reddish", (8, 11)), ("hundred", (4, 7)), ("blue", None)],
    ids=["whole", "begun", "within", "nowhere"],
)
def test_a_piece_that_was_cut_stands_where_a_word_begins_else_anywhere(text: str, place: tuple[int, int] | None) -> None:
    assert place_of(re.compile("red"), text, is_cut=True) == place


@pytest.mark.parametrize(
    ("text", "value", "spoken"),
    [("turn the front light on", "on", [("on", 21, 23)]), ("Turn the front light off", "on", []), ("把前灯打开", "打开", [("打开", 3, 5)])],
)
def test_a_written_value_is_told_where_it_is_a_word(text: str, value: str, spoken: list[tuple[str, int, int]]) -> None:
    schema = MeaningSchema({"turn": {"state": Slot(is_spoken=True, values=("on", "打开"))}}, {})
    found = read_written(text, f'{{"intent": "turn", "slots": {{"state": "{value}"}}}}', Generated((), "stop"), schema)
    assert [(one.word, one.start, one.end) for one in found.spoken] == spoken
    assert list(found.implied) == ([] if spoken else ["state"]), "a value that no word says is one all the same"


@pytest.mark.parametrize(("written", "finish", "start"), [("red", "stop", 8), ("redd", "length", 12)])
def test_a_written_answer_is_cited_where_it_is_a_word(written: str, finish: FinishReason, start: int) -> None:
    passage = Passage(Document(0, "hundred red reddish lamps"), 0, 25)
    assert read_answer(f"[1] {written}", Generated((), finish), [passage]).start == start


def test_a_written_answer_that_is_no_run_of_words_is_refused() -> None:
    passage = Passage(Document(0, "a hundred lamps"), 0, 15)
    with pytest.raises(EngineFailed) as caught:
        read_answer("[1] red", Generated((), "stop"), [passage])
    assert caught.value.code == "model_output_invalid"
