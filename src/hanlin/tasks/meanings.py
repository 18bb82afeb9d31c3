"""What meanings a version can give: intents, the slots of each, what a slot may hold; a part of `hanlin.json`.

A meaning is an intent with slots, such as `{"intent": "turn_on", "slots": {"area": "kitchen", "brightness": 50}}`. A slot is read off the
text (words become a value by the lexicon, by their digits, or stay words) or chosen out of a closed set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.tasks.text import fold_width
from hanlin.types import JsonObject, JsonValue, shorten

MAX_INTENTS = 1_000
MAX_SLOTS = 200
MAX_WORDS = 100_000  # entries of all lexicons
SLOT_NAME = re.compile(r"[A-Za-z_][\w.\-]{0,63}", re.ASCII)
_MAX_NUMBER, _MAX_SIGNS = 2**63, 40  # more signs than any such number has
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?", re.ASCII)
_DIGITS = dict(zip("零一二三四五六七八九", range(10), strict=True)) | {"两": 2, "〇": 0}
_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
_MAX_CHARACTERS = 1_000  # of a value
_SURROGATE = re.compile("[\ud800-\udfff]")
Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Slot:
    """What one slot of one intent may hold.

    Args:
        implied: values that may follow from the sentence as a whole, without words for them.
        is_spoken: whether words of the text may say it.
        values: the closed set of what such words may mean; empty where any text or number may stand.
        is_number: whether they mean numbers.
    """

    implied: tuple[Value, ...] = ()
    is_spoken: bool = False
    values: tuple[Value, ...] = ()
    is_number: bool = False

    def takes(self, value: object) -> bool:
        """Whether `value` may stand here."""
        return _is_among(value, self.implied) or (self.is_spoken and self.hears(value))

    def hears(self, value: object) -> bool:
        """Whether words of a text may mean `value`."""
        if self.values:
            return _is_among(value, self.values)
        if self.is_number:
            return isinstance(value, int | float) and not isinstance(value, bool)
        return isinstance(value, str) and bool(value)

    def schema(self) -> JsonObject:
        """As JSON schema."""
        spoken: JsonObject = {"type": "number"} if self.is_number else {"type": "string", "minLength": 1}
        if not self.is_spoken or self.values:
            return {"enum": [*dict.fromkeys((*self.implied, *self.values))]}
        return {"anyOf": [{"enum": [*self.implied]}, spoken]} if self.implied else spoken


@dataclass(frozen=True, slots=True)
class MeaningSchema:
    """All meanings of a version.

    Args:
        intents: the slots of each intent by name.
        lexicon: for each slot what words may mean, folded by `folded`; one that means several things is told apart by the sentence.

    Raises:
        InvalidInput: `invalid_model_spec`.
    """

    intents: Mapping[str, Mapping[str, Slot]]
    lexicon: Mapping[str, Mapping[str, tuple[Value, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(1 <= len(self.intents) <= MAX_INTENTS, "intents", f"{len(self.intents)} intents, where 1 to {MAX_INTENTS:,} are allowed")
        names = {name for slots in self.intents.values() for name in slots}
        _check(len(names) <= MAX_SLOTS and all(map(SLOT_NAME.fullmatch, names)), "intents", "too many slots, or a name that is none")
        _check(sum(map(len, self.lexicon.values())) <= MAX_WORDS, "lexicon", f"more than {MAX_WORDS:,} words")

    @property
    def is_told_apart(self) -> frozenset[str]:
        """Slots with words that mean several things, such as “open”: a state of a door, another of a lamp."""
        return frozenset(slot for slot, words in self.lexicon.items() if any(len(values) > 1 for values in words.values()))

    def values(self, intent: str, slot: str, words: str) -> tuple[Value, ...]:
        """What `words` of a text may mean in this slot; nothing when it takes nothing like it."""
        rule = self.intents[intent].get(slot)
        if rule is None or not rule.is_spoken:
            return ()
        if known := tuple(value for value in self.lexicon.get(slot, {}).get(folded(words), ()) if rule.hears(value)):
            return known
        if rule.is_number:
            number = number_of(words)
            return () if number is None else (number,)
        if rule.values:  # words that are a value themselves, however they are written
            number = number_of(words)
            return tuple(
                item for item in rule.values if (folded(item) == folded(words) if isinstance(item, str) else _is_among(number, [item]))
            )[:1]
        return (words,)

    def is_valid(self, meaning: JsonValue) -> bool:
        """Whether a meaning keeps to the schema: a known intent, its slots only, each with a value that it takes."""
        if not isinstance(meaning, dict) or not isinstance(meaning.get("slots"), dict) or meaning.get("intent") not in self.intents:
            return False
        rules = self.intents[cast("str", meaning["intent"])]
        return all(name in rules and rules[name].takes(value) for name, value in cast("JsonObject", meaning["slots"]).items())

    def json_schema(self) -> JsonObject:
        """The same as JSON schema, one branch an intent."""
        branches: list[JsonValue] = [
            {
                "type": "object", "required": ["intent", "slots"],
                "properties": {
                    "intent": {"const": name},
                    "slots": {
                        "type": "object", "additionalProperties": False,
                        "properties": {slot: rule.schema() for slot, rule in rules.items()},
                    },
                },
            }
            for name, rules in self.intents.items()
        ]  # fmt: skip
        return {"oneOf": branches}

    def to_json(self) -> JsonObject:
        """The stored form."""
        return {
            "intents": {
                name: {
                    slot: {
                        "implied": [*rule.implied], "is_spoken": rule.is_spoken, "values": [*rule.values], "is_number": rule.is_number,
                    }
                    for slot, rule in rules.items()
                }
                for name, rules in self.intents.items()
            },
            "lexicon": {slot: {said: [*values] for said, values in words.items()} for slot, words in self.lexicon.items()},
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: JsonValue) -> MeaningSchema:
        """The schema that `to_json` wrote. Raises InvalidInput (`invalid_model_spec`)."""
        _check(isinstance(value, dict) and set(value) == {"intents", "lexicon"}, "meanings", "not an object of intents and lexicon")
        stored = cast("JsonObject", value)
        intents = {name: _slots(rules) for name, rules in _object(stored["intents"], "intents").items()}
        lexicon = {slot: dict(_words(words)) for slot, words in _object(stored["lexicon"], "lexicon").items()}
        return cls(intents, lexicon)


def is_value(value: object) -> bool:
    """Whether a slot may hold it: true, false, a number that JSON has and its readers take, or words of Unicode."""
    if isinstance(value, str):
        return bool(value.strip()) and len(value) <= _MAX_CHARACTERS and not _SURROGATE.search(value)
    return isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < _MAX_NUMBER)  # not so of NaN


def folded(words: str) -> str:
    """What spellings of the same words have in common: width, case, space at the ends."""
    return " ".join(fold_width(words).casefold().split())


def number_of(words: str) -> int | float | None:
    """The number in `words`: digits, or Chinese numerals up to ten thousands. None from 2^63 on: few readers of JSON take it."""
    plain = fold_width(words)
    if found := _NUMBER.search(plain):
        text = found.group()
        number = float(text) if "." in text or len(text) > _MAX_SIGNS else int(text)
        return number if abs(number) < _MAX_NUMBER else None
    return _chinese_number("".join(sign for sign in plain if sign in _DIGITS or sign in _UNITS))


def _chinese_number(signs: str) -> int | None:
    if not 0 < len(signs) <= _MAX_SIGNS:
        return None
    number = _summed(signs)
    return number if number < _MAX_NUMBER else None


def _summed(signs: str) -> int:
    if not any(sign in _UNITS for sign in signs):
        return int("".join(str(_DIGITS[sign]) for sign in signs))
    total, digit = 0, None
    for sign in signs:
        if sign in _DIGITS:
            digit = _DIGITS[sign]
        elif _UNITS[sign] == 10_000:
            total, digit = (total + (digit or 0)) * 10_000, None
        else:
            total, digit = total + (1 if digit is None else digit) * _UNITS[sign], None
    return total + (digit or 0)


def _slots(value: JsonValue) -> dict[str, Slot]:
    return {name: _slot(rule) for name, rule in _object(value, "intents").items()}


def _slot(value: JsonValue) -> Slot:
    rule = _object(value, "intents")
    _check(set(rule) == {"implied", "is_spoken", "values", "is_number"}, "intents", "a slot with other fields")
    for name in ("implied", "values"):
        items = rule[name]
        _check(isinstance(items, list) and all(isinstance(item, Value) for item in items), "intents", "values that are no plain values")
    _check(isinstance(rule["is_spoken"], bool) and isinstance(rule["is_number"], bool), "intents", "a flag that is neither true nor false")
    implied, values = (tuple(cast("Sequence[Value]", rule[name])) for name in ("implied", "values"))
    return Slot(implied, bool(rule["is_spoken"]), values, bool(rule["is_number"]))


def _is_among(value: object, items: Sequence[Value]) -> bool:
    return any(value == item and isinstance(value, bool) == isinstance(item, bool) for item in items)


def _words(value: JsonValue) -> dict[str, tuple[Value, ...]]:
    words = _object(value, "lexicon")
    for values in words.values():
        _check(isinstance(values, list) and bool(values) and all(isinstance(item, Value) for item in values), "lexicon", "no plain values")
    return {said: tuple(values) for said, values in cast("dict[str, list[Value]]", words).items()}


def _object(value: JsonValue, name: str) -> JsonObject:
    _check(isinstance(value, dict), name, "not an object")
    return cast("JsonObject", value)


def _check(is_right: bool, name: str, problem: str) -> None:
    if not is_right:
        raise InvalidInput("invalid_model_spec", field=shorten(name), problem=problem)
