"""Meanings: schemas, numbers in words, examples with and without spans, decoding that never leaves the schema, metrics by hand."""

import json

import jsonschema_rs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, BadExample, ModelSpec
from hanlin.tasks.encoded import Marks
from hanlin.tasks.meaning_decoding import Layout, read_meaning
from hanlin.tasks.meaning_examples import read_annotation, spans_of
from hanlin.tasks.meaning_metrics import meaning_metrics
from hanlin.tasks.meanings import MeaningSchema, Slot, number_of

SCHEMA = MeaningSchema(
    {
        "set_light": {
            "area": Slot(is_spoken=True), "color": Slot(is_spoken=True, values=("red", "blue")),
            "level": Slot(is_spoken=True, is_number=True), "domain": Slot(("light",)),
        },
        "ask_time": {},
    },
    {"color": {"红色": ("red",), "crimson": ("red",)}},
)  # fmt: skip
LABELS = (
    "O", "B-area", "I-area", "B-color", "I-color", "B-level", "I-level", "intent=ask_time", "intent=set_light", "domain=", "domain=light",
)  # fmt: skip
FORM = TASKS.get("semantic-parsing").examples


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("50 percent", 50),
        ("-3.5", -3.5),
        ("５０", 50),
        ("三十五", 35),
        ("十", 10),
        ("两百零三", 203),
        ("一万二千", 12_000),
        ("百", 100),
        ("二〇二六", 2026),
    ],
)
def test_numbers_in_words(words: str, number: float) -> None:
    assert number_of(words) == number


@pytest.mark.parametrize("words", ["", "kitchen", "客厅"])
def test_words_without_a_number(words: str) -> None:
    assert number_of(words) is None


def test_words_become_values_by_lexicon_digits_or_themselves() -> None:
    assert SCHEMA.values("set_light", "color", " 红色") == ("red",)
    assert SCHEMA.values("set_light", "color", "BLUE") == ("blue",), "a value however it is written"
    assert SCHEMA.values("set_light", "color", "green") == ()
    assert SCHEMA.values("set_light", "level", "五十") == (50,)
    assert SCHEMA.values("set_light", "level", "full") == ()
    assert SCHEMA.values("set_light", "area", "Kitchen") == ("Kitchen",)
    assert SCHEMA.values("ask_time", "area", "Kitchen") == (), "not a slot of this intent"
    assert SCHEMA.values("set_light", "domain", "light") == (), "no words say it"


def test_a_word_of_several_meanings_is_told_apart_by_the_sentence() -> None:
    schema = MeaningSchema({"ask": {"state": Slot(is_spoken=True, values=("on", "open"))}}, {"state": {"打开": ("on", "open")}})
    assert schema.is_told_apart == {"state"}
    labels = ("O", "B-state", "I-state", "intent=ask", "state=", "state=on", "state=open")
    marks = Marks("门打开", [(0, 1), (1, 2), (2, 3)], [0, 1, 2])
    for value in ("on", "open"):
        numbers = np.zeros((3, len(labels)))
        numbers[[0, 1, 2], [0, 1, 2]] = 9.0
        numbers[0, labels.index(f"state={value}")] = 5.0
        assert read_meaning(numbers, marks, Layout.of(labels), schema).to_json()["slots"] == {"state": value}


def test_a_schema_is_stored_and_read_as_it_was() -> None:
    spec = ModelSpec("semantic-parsing", LABELS, 64, 0, meanings=SCHEMA)
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    "broken",
    [None, [], {}, {"intents": {}, "lexicon": {}}, {"intents": {"a": {"b": {}}}, "lexicon": {}},
     {"intents": {"a": {}}, "lexicon": {"x": {"y": []}}},
     {"intents": {"a": {"bad name": Slot().schema()}}, "lexicon": {}}],
)  # fmt: skip
def test_a_broken_schema_is_refused(broken: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        MeaningSchema.from_json(broken)  # type: ignore[arg-type]
    assert refused.value.code == "invalid_model_spec"


def test_the_json_schema_says_what_is_valid() -> None:
    right = {"intent": "set_light", "slots": {"area": "hall", "color": "red", "level": 5, "domain": "light"}}
    assert jsonschema_rs.is_valid(SCHEMA.json_schema(), right)
    for wrong in ({"slots": {"color": "green"}}, {"slots": {"level": "5"}}, {"slots": {"place": "x"}}, {"intent": "fly"}):
        assert not SCHEMA.is_valid(right | wrong)
        assert not jsonschema_rs.is_valid(SCHEMA.json_schema(), right | wrong)


def test_an_example_with_spans_and_one_that_finds_them() -> None:
    fields = {"text": "Set the hall to 20 percent", "intent": "set_light", "slots": {"area": "hall", "level": 20, "domain": "light"}}
    found = spans_of(read_annotation(FORM.read(fields).annotation))
    assert [(span.slot, fields["text"][span.start : span.end]) for span in found] == [("area", "hall"), ("level", "20")]
    given = FORM.read(fields | {"spans": [{"label": "area", "start": 8, "end": 12}], "group": "set <area>"})
    assert [span.slot for span in spans_of(read_annotation(given.annotation))] == ["area"]
    assert (given.group, given.labels) == ("set <area>", ("set_light",))
    table = FORM.read({name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()})
    assert table == FORM.read(fields), "a table's cells hold JSON text"


def test_words_that_stand_twice_are_no_span() -> None:
    found = FORM.read({"text": "hall light in the hall", "intent": "set_light", "slots": {"area": "hall"}})
    assert spans_of(read_annotation(found.annotation)) == []


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"slots": []}, "slots"), ({"slots": {"a": None}}, "slots"), ({"slots": {"a b": 1}}, "slots"),
        ({"slots": {"intent": "x"}}, "slots"),
        *(({"slots": f'{{"a": {value}}}'}, "slots") for value in ("NaN", "1e999", str(2**63), '"\\ud800"', '" "')),
        ({"slots": "{"}, "json_field"), ({"slots": {"a": "x"}, "spans": {}}, "slot_spans"),
        ({"slots": {"a": "x"}, "spans": [["a", 0, 99]]}, "slot_spans"),
        ({"slots": {"a": "x"}, "spans": [["b", 0, 1]]}, "slot_spans"), ({"slots": {"a": "x"}, "spans": [["a", True, 2]]}, "slot_spans"),
        ({"slots": {"a": "x", "b": "y"}, "spans": [["a", 0, 2], ["b", 1, 3]]}, "slot_spans_overlap"), ({"intent": " "}, "label_missing"),
    ],
)  # fmt: skip
def test_what_makes_no_example_is_told(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(BadExample) as refused:
        FORM.read({"text": "abcdef", "intent": "i"} | fields)
    assert refused.value.problem == problem


TEXT = "red hall 20"
MARKS = Marks(TEXT, [None, (0, 3), (4, 8), (9, 11), None], [None, 0, 1, 2, None])


def logits(**best: str) -> np.ndarray:
    """Numbers in which each named token's label wins; `first` takes the fields."""
    found = np.zeros((len(MARKS.spans), len(LABELS)))
    for token, label in enumerate([best.get("first", ""), *best.get("tags", "O O O").split()]):
        for name in label.split("+"):
            if name:
                found[token, LABELS.index(name)] = 9.0
    return found


def test_a_meaning_is_read() -> None:
    found = read_meaning(logits(first="intent=set_light+domain=light", tags="B-color B-area B-level"), MARKS, Layout.of(LABELS), SCHEMA)
    assert found.to_json()["slots"] == {"area": "hall", "color": "red", "domain": "light", "level": 20}
    assert [(item.slot, item.word) for item in found.spoken] == [("color", "red"), ("area", "hall"), ("level", "20")]
    assert found.implied["domain"][1] > 0.99


def test_an_intent_without_slots_has_none_whatever_the_tags_say() -> None:
    numbers = logits(first="intent=ask_time+domain=light", tags="B-color B-area B-level")
    numbers[0, LABELS.index("intent=ask_time")] = 99.0
    assert read_meaning(numbers, MARKS, Layout.of(LABELS), SCHEMA).to_json()["slots"] == {}


def test_intent_and_tags_are_chosen_together() -> None:
    numbers = logits(first="intent=ask_time+domain=light", tags="B-color B-area B-level")
    numbers[0, LABELS.index("intent=set_light")] = 7.0  # a little less likely alone, far likelier with what the words say
    assert read_meaning(numbers, MARKS, Layout.of(LABELS), SCHEMA).intent == "set_light"


@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 50))
def test_whatever_the_numbers_the_meaning_is_valid(seed: int, scale: float) -> None:
    numbers = np.random.default_rng(seed).normal(size=(len(MARKS.spans), len(LABELS))) * scale
    found = read_meaning(numbers, MARKS, Layout.of(LABELS), SCHEMA)
    assert SCHEMA.is_valid(found.to_json())
    assert all(TEXT[item.start : item.end] == item.word for item in found.spoken)
    assert Layout.of(LABELS).numbers(found.to_json()).shape == (5, len(LABELS) + 1)


def test_metrics_by_hand() -> None:
    gold = [{"intent": "a", "slots": {"x": "Hall", "n": 5}}, {"intent": "b", "slots": {}}, {"intent": "b", "slots": {"x": "y"}}]
    found = [
        {"intent": "a", "slots": {"x": "hall ", "n": 5.0}},
        {"intent": "a", "slots": {}},
        {"intent": "b", "slots": {"x": "z", "n": True}},
    ]
    metrics = meaning_metrics(found, gold)  # type: ignore[arg-type]
    assert metrics.get("exact_match") == pytest.approx(1 / 3)
    assert metrics.get("intent_accuracy") == pytest.approx(2 / 3)
    assert metrics.get("slot_f1") == pytest.approx(2 * 2 / (4 + 3))
