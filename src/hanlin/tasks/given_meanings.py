"""A schema of meanings that somebody gives, in words of JSON schema: intents, their slots, what each may hold, and words for values.

{"intents": {"light": {"color": {"enum": ["red", "green"]}, "level": {"type": "number"}}, "time": {}},
 "words": {"color": {"emerald": "green"}}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.tasks.examples import BadExample, check_label
from hanlin.tasks.meaning_examples import read_annotation
from hanlin.tasks.meanings import MAX_INTENTS, MAX_SLOTS, MAX_WORDS, SLOT_NAME, MeaningSchema, Slot, Value, folded, is_value
from hanlin.types import JsonObject, JsonValue, shorten

MAX_VALUES = 10_000  # of one slot
_MAX_PLACE = 120  # characters of what a message names
_TYPES: Mapping[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "boolean": (bool,)}


@dataclass(frozen=True, slots=True)
class GivenMeanings:
    """What meanings may be, whatever the rows show.

    Args:
        intents: slots of each intent; one that is not named here is left to the rows.
        words: for each slot what words of a text mean beside the values themselves, folded.
    """

    intents: Mapping[str, Mapping[str, Slot]]
    words: Mapping[str, Mapping[str, Value]]

    def check_rows(self, annotations: Sequence[str]) -> None:
        """Raises InvalidInput (`meanings_contradicted`) when an example has a value that its slot does not take here."""
        for annotation in annotations:
            meaning = read_annotation(annotation)
            rules = self.intents.get(str(meaning["intent"]), {})
            for slot, value in cast("JsonObject", meaning["slots"]).items():
                if slot in rules and not rules[slot].hears(value):
                    raise InvalidInput(
                        "meanings_contradicted", intent=shorten(str(meaning["intent"])), slot=slot, value=shorten(str(value))
                    )

    def over(self, learned: MeaningSchema) -> MeaningSchema:
        """Both together: what is given decides what a slot takes, the rows which values follow from a sentence without words."""
        intents: dict[str, dict[str, Slot]] = {name: dict(rules) for name, rules in learned.intents.items()}
        for name, rules in self.intents.items():
            own = intents.setdefault(name, {})
            own |= {slot: _kept(rule, own.get(slot)) for slot, rule in rules.items()}
        lexicon = {slot: dict(words) for slot, words in learned.lexicon.items()}
        for slot, words in self.words.items():
            own_words = lexicon.setdefault(slot, {})
            own_words |= {said: tuple(dict.fromkeys((value, *own_words.get(said, ())))) for said, value in words.items()}
        return MeaningSchema({name: dict(sorted(intents[name].items())) for name in sorted(intents)}, lexicon)

    def to_json(self) -> JsonObject:
        """The form in which it was given."""
        intents = {name: {slot: _told(rule) for slot, rule in rules.items()} for name, rules in self.intents.items()}
        return {"intents": cast("JsonValue", intents), "words": {slot: dict(words) for slot, words in self.words.items()}}

    @classmethod
    def from_json(cls, value: JsonValue) -> GivenMeanings:
        """What was given. Raises InvalidInput (`meanings_not_understood`), naming the place."""
        found = _object(value, "", "an object with intents, and words if need be")
        _check(found.keys() <= {"intents", "words"} and "intents" in found, "", "intents, and words if need be")
        named = _object(found["intents"], "intents", "an object of intents by name")
        _check(1 <= len(named) <= MAX_INTENTS, "intents", f"1 to {MAX_INTENTS} intents")
        intents = {_intent(name): _slots(slots, f"intents.{name}") for name, slots in named.items()}
        _check(len({slot for slots in intents.values() for slot in slots}) <= MAX_SLOTS, "intents", f"at most {MAX_SLOTS} slots in all")
        words = _object(found.get("words", {}), "words", "an object of slots")
        return cls(intents, {slot: _words(said, slot, intents) for slot, said in words.items()})


def _kept(rule: Slot, learned: Slot | None) -> Slot:
    if learned is None:
        return rule
    return Slot(learned.implied, learned.is_spoken, rule.values if learned.is_spoken else (), learned.is_spoken and rule.is_number)


def _intent(name: str) -> str:
    try:
        return check_label(name)
    except BadExample as error:
        raise _wrong("intents", "names that are labels") from error


def _slots(value: JsonValue, place: str) -> dict[str, Slot]:
    slots = _object(value, place, "an object of slots by name")
    for name in slots:
        _check(SLOT_NAME.fullmatch(name) is not None, place, "slots whose names are letters, digits, _ . or -")
    return {name: _slot(rule, f"{place}.{name}") for name, rule in slots.items()}


def _slot(value: JsonValue, place: str) -> Slot:
    rule = _object(value, place, 'an object such as {"type": "string"} or {"enum": ["a", "b"]}')
    _check(bool(rule) and rule.keys() <= {"type", "enum"}, place, "type, or enum, or both")
    kind = rule.get("type")
    _check(kind is None or (isinstance(kind, str) and kind in _TYPES), f"{place}.type", ", ".join(_TYPES))
    if "enum" not in rule:
        return Slot((), True, (True, False) if kind == "boolean" else (), kind == "number")
    return Slot((), True, _values(rule["enum"], f"{place}.enum", None if kind is None else str(kind)))


def _values(value: JsonValue, place: str, kind: str | None) -> tuple[Value, ...]:
    _check(isinstance(value, list) and 1 <= len(value) <= MAX_VALUES, place, f"a list of 1 to {MAX_VALUES:,} values")
    found = cast("list[JsonValue]", value)
    for item in found:
        _check(is_value(item), place, "words, numbers, true or false")
        is_right = kind is None or (isinstance(item, _TYPES[kind]) and isinstance(item, bool) == (kind == "boolean"))
        _check(is_right, place, f"values of type {kind} alone")
    _check(len({(type(item), item) for item in cast("list[Value]", found)}) == len(found), place, "each value once")
    return tuple(cast("list[Value]", found))


def _words(value: JsonValue, slot: str, intents: Mapping[str, Mapping[str, Slot]]) -> dict[str, Value]:
    place = f"words.{slot}"
    rules = [slots[slot] for slots in intents.values() if slot in slots]
    _check(bool(rules), place, "slots that an intent here has")
    words = _object(value, place, "an object of words and their values")
    _check(len(words) <= MAX_WORDS // MAX_SLOTS, place, f"at most {MAX_WORDS // MAX_SLOTS} words")
    for said, meant in words.items():
        is_right = is_value(said) and is_value(meant) and any(rule.hears(meant) for rule in rules)
        _check(is_right, f"{place}.{said}", "a value that the slot takes")
    return {folded(said): cast("Value", meant) for said, meant in words.items()}


def _told(rule: Slot) -> JsonValue:
    return {"enum": [*rule.values]} if rule.values else {"type": "number" if rule.is_number else "string"}


def _object(value: JsonValue, place: str, right: str) -> JsonObject:
    _check(isinstance(value, dict), place, right)
    return cast("JsonObject", value)


def _check(is_right: bool, place: str, right: str) -> None:
    if not is_right:
        raise _wrong(place, right)


def _wrong(place: str, right: str) -> InvalidInput:
    return InvalidInput("meanings_not_understood", place=shorten(place or "$", _MAX_PLACE), right=right)
