"""Meanings that are written as text: `{"intent": "set_light", "slots": {"area": "kitchen"}}`, by a grammar of the version's schema.

Each slot stands once, in the order of the schema, with a value that it takes; what is free is words of the text. So whatever a model
would rather write, each answer is a meaning of the schema.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import cast

from hanlin.errors import EngineFailed
from hanlin.generation import Constraint, Generated
from hanlin.tasks.meaning_decoding import Meaning, SpokenSlot
from hanlin.tasks.meanings import MeaningSchema, Slot, Value, folded, number_of
from hanlin.tasks.written_pieces import pieces_of, place_of, quoted
from hanlin.types import JsonObject, JsonValue

MAX_WRITTEN = 512  # tokens of a meaning
MAX_TOLD = 12  # values of a slot that a prompt names
_NUMBER = r"/-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,4})?/"
_DIGITS = re.compile(r"[-+]?\d+(?:\.\d+)?", re.ASCII)
_DECODER = json.JSONDecoder()


def meaning_text(intent: str, slots: Mapping[str, JsonValue], schema: MeaningSchema) -> str:
    """A meaning as it is written: slots in the schema's order."""
    ordered = {name: slots[name] for name in schema.intents[intent] if name in slots}
    return json.dumps({"intent": intent, "slots": ordered}, ensure_ascii=False)


def catalogue(schema: MeaningSchema) -> str:
    """The intents with their slots, one a line, as a prompt tells them."""
    return "\n".join(
        f"{name}({', '.join(f'{slot}: {_kind(rule)}' for slot, rule in rules.items())})" for name, rules in schema.intents.items()
    )


def _kind(rule: Slot) -> str:
    if (values := _closed(rule)) is not None:
        more = " | …" if len(values) > MAX_TOLD else ""
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in values[:MAX_TOLD]) + more
    return "number" if rule.is_number else "words"


def _closed(rule: Slot) -> tuple[Value, ...] | None:
    """All values of a slot; None where any number or words of the text may stand, too."""
    return tuple(dict.fromkeys((*rule.implied, *rule.values))) if rule.values or not rule.is_spoken else None


def meaning_grammar(schema: MeaningSchema, text: str) -> Constraint:
    """The form of a meaning of this text."""
    rules = [f"start: {' | '.join(f'i{number}' for number in range(len(schema.intents)))}", f"NUMBER: {_NUMBER}"]
    rules.append(f"WORDS: {pieces_of(text, is_in_json=True)}")
    for number, (intent, slots) in enumerate(schema.intents.items()):
        begin = quoted(f'{{"intent": {json.dumps(intent, ensure_ascii=False)}, "slots": {{')
        firsts = [f"s{number}x{place} m{number}x{place + 1}" for place in range(len(slots))]
        rules.append(f"i{number}: {begin} ({' | '.join(firsts)})? {quoted('}}')}" if firsts else f"i{number}: {quoted(_bare(intent))}")
        for place, (name, rule) in enumerate(slots.items()):
            key = quoted(f"{json.dumps(name)}: ")
            rules.append(f"s{number}x{place}: {key} ({_values(rule)})")
            rules.append(f"m{number}x{place}: ({quoted(', ')} s{number}x{place})? m{number}x{place + 1}")
        rules.append(f'm{number}x{len(slots)}: ""')
    return Constraint("lark", "\n".join(rules))


def _bare(intent: str) -> str:
    return json.dumps({"intent": intent, "slots": {}}, ensure_ascii=False)


def _values(rule: Slot) -> str:
    if (values := _closed(rule)) is not None:
        return " | ".join(quoted(json.dumps(value, ensure_ascii=False)) for value in values)
    implied = [quoted(json.dumps(value, ensure_ascii=False)) for value in rule.implied]
    free = "NUMBER" if rule.is_number else f"{quoted(chr(34))} WORDS {quoted(chr(34))}"
    return " | ".join([*implied, free])


def read_written(text: str, written: str, row: Generated, schema: MeaningSchema) -> Meaning:
    """The meaning that was written of a text; of one that was cut, the slots that are whole.

    One chance is told of all: that the model gives the whole answer.

    Raises:
        EngineFailed: `model_output_invalid` for what is no meaning of the schema.
    """
    intent, slots = _read(written)
    slots = {name: value.strip() if isinstance(value, str) else value for name, value in slots.items()}
    slots = {name: value for name, value in slots.items() if value != ""}  # "" says that the text has no words for it
    if intent not in schema.intents or not schema.is_valid({"intent": intent, "slots": slots}):
        raise EngineFailed("model_output_invalid", details="no meaning of the schema")
    score = math.exp(min(0.0, row.score))
    spoken: list[SpokenSlot] = []
    implied: dict[str, tuple[Value, float]] = {}
    for name, value in cast("dict[str, Value]", slots).items():
        place = _place(text, name, value, schema)
        if place is None:
            implied[name] = (value, score)
        else:
            spoken.append(SpokenSlot(name, value, text[slice(*place)], *place, score))
    return Meaning(intent, score, implied, tuple(sorted(spoken, key=lambda one: one.start)))


def _read(written: str) -> tuple[str, JsonObject]:
    """Intent and slots; of a text that was cut those that are whole, of one that was cut before there are any, nothing."""
    with suppress(ValueError, KeyError):
        found = cast("JsonObject", json.loads(written))
        return str(found["intent"]), cast("JsonObject", found["slots"])
    intent = ""
    slots: JsonObject = {}
    with suppress(ValueError, IndexError):
        intent, at = _DECODER.raw_decode(written, len('{"intent": '))
        at += len(', "slots": {')
        while at < len(written):
            name, at = _DECODER.raw_decode(written, at)
            value, at = _DECODER.raw_decode(written, at + len(": "))
            if at < len(written):  # else more digits may have been to come
                slots[name] = value
            at += len(", ")
    return intent, slots


def _place(text: str, name: str, value: Value, schema: MeaningSchema) -> tuple[int, int] | None:
    """Where the text first says a value: by its own words, by digits, or by words that mean it."""
    words = [said for said, values in schema.lexicon.get(name, {}).items() if value in values]
    if isinstance(value, str):
        words.insert(0, value)
    for said in words:
        pattern = r"\s+".join(map(re.escape, said.split()))
        if place := place_of(re.compile(pattern, re.IGNORECASE), text):
            return place
    if isinstance(value, bool) or not isinstance(value, int | float):
        return next((found.span() for found in re.finditer(r"\w+", text) if folded(found[0]) == folded(str(value))), None)
    return next((found.span() for found in _DIGITS.finditer(text) if number_of(found[0]) == value), None)
