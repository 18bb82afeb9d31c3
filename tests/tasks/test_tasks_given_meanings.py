"""Schemas of meanings that somebody gives: read strictly, kept in their own form, put over what rows showed."""

from __future__ import annotations

import json
import math

import pytest

from hanlin.errors import InvalidInput
from hanlin.tasks.given_meanings import GivenMeanings
from hanlin.tasks.meanings import MeaningSchema, Slot
from hanlin.types import JsonObject, JsonValue

GIVEN: JsonObject = {
    "intents": {
        "light": {"color": {"type": "string", "enum": ["red", "green"]}, "level": {"type": "number"}, "on": {"type": "boolean"}},
        "scene": {"number": {"enum": [1, 2]}, "note": {"type": "string"}},
    },
    "words": {"color": {"Emerald  Shade": "green"}, "on": {"ablaze": True}},
}
NO_VALUES: tuple[JsonValue, ...] = (None, "", " ", "x" * 1001, "\ud800", math.nan, math.inf, 2**63, 10**5000, 1e300)
LEARNED = MeaningSchema(
    {"light": {"color": Slot((), True, ("blue", "red")), "kind": Slot(("lamp",))}, "time": {}}, {"color": {"crimson": ("red",)}}
)


def test_what_is_given_stands_over_what_was_learnt_and_the_rest_stays() -> None:
    found = GivenMeanings.from_json(GIVEN).over(LEARNED)
    assert set(found.intents) == {"light", "scene", "time"}
    assert found.intents["light"]["kind"] == Slot(("lamp",))
    assert found.values("light", "color", "GREEN") == ("green",)
    assert found.values("light", "color", "emerald shade") == ("green",)
    assert found.values("light", "color", "crimson") == ("red",)
    assert found.values("light", "color", "blue") == ()  # the schema has no such color
    assert found.values("light", "level", "五十") == (50,)
    assert found.values("light", "level", "high") == ()
    assert found.values("light", "on", "ablaze") == (True,)
    assert [found.values("scene", "number", words) for words in ("2", "two", "7")] == [(2,), (), ()]
    assert found.values("scene", "note", "Some Words") == ("Some Words",)
    assert found.is_valid({"intent": "light", "slots": {"color": "green", "kind": "lamp"}})
    assert not found.is_valid({"intent": "light", "slots": {"color": "blue"}})
    assert MeaningSchema.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_slot_that_no_words_said_goes_on_following_from_the_sentence() -> None:
    given = GivenMeanings.from_json({"intents": {"light": {"kind": {"enum": ["lamp", "fan"]}}}})
    found = given.over(LEARNED)
    assert found.intents["light"]["kind"] == Slot(("lamp",))
    assert found.values("light", "kind", "fan") == ()


def test_it_is_kept_in_a_form_that_reads_back() -> None:
    found = GivenMeanings.from_json(GIVEN)
    assert GivenMeanings.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ([], "$"), ({"slots": {}}, "$"), ({"intents": {}}, "intents"), ({"intents": []}, "intents"),
        ({"intents": {" ": {}}}, "intents"), ({"intents": {"a": 3}}, "intents.a"),
        ({"intents": {"a": {"no name": {"type": "string"}}}}, "intents.a"),
        ({"intents": {"a": {"b": {}}}}, "intents.a.b"), ({"intents": {"a": {"b": {"type": "date"}}}}, "intents.a.b.type"),
        ({"intents": {"a": {"b": {"type": ["string"]}}}}, "intents.a.b.type"),
        ({"intents": {"a": {"b": {"pattern": "x"}}}}, "intents.a.b"), ({"intents": {"a": {"b": {"enum": []}}}}, "intents.a.b.enum"),
        ({"intents": {"a": {"b": {"enum": ["x", "x"]}}}}, "intents.a.b.enum"),
        *(({"intents": {"a": {"b": {"enum": [value]}}}}, "intents.a.b.enum") for value in NO_VALUES),
        ({"intents": {"a": {"b": {"type": "number", "enum": [True]}}}}, "intents.a.b.enum"),
        ({"words": {"none": {"x": "y"}}}, "words.none"), ({"words": {"color": {"teal": "teal"}}}, "words.color.teal"),
        ({"words": {"color": {" ": "red"}}}, "words.color. "), ({"words": {"color": {"\ud800": "red"}}}, "words.color.\ud800"),
        ({"intents": {"a": {"n": {"type": "number"}}}, "words": {"n": {"x": math.inf}}}, "words.n.x"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_by_its_place(changes: JsonValue, place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        GivenMeanings.from_json({**GIVEN, **changes} if isinstance(changes, dict) else changes)
    assert (caught.value.code, caught.value.params["place"]) == ("meanings_not_understood", repr(place))


def test_a_row_that_contradicts_it_is_named() -> None:
    given = GivenMeanings.from_json(GIVEN)
    given.check_rows(
        ['{"intent": "light", "slots": {"color": "red", "kind": "x"}, "spans": []}', '{"intent": "time", "slots": {}, "spans": []}']
    )
    with pytest.raises(InvalidInput) as caught:
        given.check_rows(['{"intent": "light", "slots": {"color": "blue"}, "spans": []}'])
    assert caught.value.code == "meanings_contradicted"
    assert "blue" in caught.value.message
