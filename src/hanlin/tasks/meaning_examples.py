"""Examples of semantic parsing: a text, its intent, its slots, and where the text says them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

from hanlin.tasks.examples import BadExample, Column, Example, canonical, check_label, check_text, read_json_field
from hanlin.tasks.meanings import SLOT_NAME, Value, is_value
from hanlin.types import JsonObject, JsonValue


class SlotSpan(NamedTuple):
    """Characters of the text that say a slot's value."""

    slot: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MeaningExamples:
    """See `ExampleForm`. Slots without a span follow from the sentence as a whole."""

    columns: tuple[Column, ...] = (
        Column("text", "text", aliases=("sentence", "utterance", "query", "文本", "句子")),
        Column("intent", "label", aliases=("意图",)),
        Column("slots", "json", aliases=("slot_values", "槽位"), is_optional=True),
        Column("spans", "json", aliases=("slot_spans",), is_optional=True),
        Column("group", "text", aliases=("template", "模板"), is_optional=True),
    )
    formats: tuple[str, ...] = ()
    is_classified: bool = False
    has_answers: bool = True

    def read(self, fields: Mapping[str, object]) -> Example:
        """See `ExampleForm.read`."""
        text, intent = check_text(fields.get("text")), check_label(fields.get("intent"))
        slots = _slots({} if fields.get("slots") in (None, "") else read_json_field(fields["slots"]))
        given = fields.get("spans")
        spans = _found(text, slots) if given is None else _spans(read_json_field(given), text, slots)
        annotation = canonical({"intent": intent, "slots": dict(slots), "spans": [[*span] for span in spans]})
        group = fields.get("group")
        return Example(text, annotation, (intent,), group=group if isinstance(group, str) else "")

    def question(self, text: str, annotation: str) -> JsonValue:
        """See `ExampleForm.question`: the text alone."""
        return text


def read_annotation(annotation: str) -> JsonObject:
    """The stored meaning: intent, slots and spans."""
    return cast("JsonObject", json.loads(annotation))


def spans_of(meaning: JsonObject) -> list[SlotSpan]:
    """The spans of a stored meaning, in order of the text."""
    return sorted((SlotSpan(*cast("list[int]", item)) for item in cast("list[JsonValue]", meaning["spans"])), key=lambda span: span.start)  # type: ignore[arg-type]  # as `read` wrote them


def _slots(value: object) -> dict[str, Value]:
    if not isinstance(value, dict):
        raise BadExample("slots")
    for name, item in value.items():
        if not isinstance(name, str) or not SLOT_NAME.fullmatch(name) or name == "intent" or not is_value(item):
            raise BadExample("slots")
    return cast("dict[str, Value]", value)


def _spans(value: object, text: str, slots: Mapping[str, Value]) -> list[SlotSpan]:
    """Spans as `[slot, start, end]` or objects of these names. Raises BadExample."""
    if not isinstance(value, list):
        raise BadExample("slot_spans")
    found: list[SlotSpan] = []
    for item in value:
        slot, start, end = _triple(item)
        if slot not in slots or not 0 <= start < end <= len(text):
            raise BadExample("slot_spans")
        found.append(SlotSpan(slot, start, end))
    found.sort(key=lambda span: span.start)
    if any(second.start < first.end for first, second in pairwise(found)):
        raise BadExample("slot_spans_overlap")
    return found


def _triple(item: object) -> tuple[str, int, int]:
    if isinstance(item, dict):
        item = [item.get("slot", item.get("label")), item.get("start"), item.get("end")]
    if not isinstance(item, list) or len(item) != 3:
        raise BadExample("slot_spans")
    slot, start, end = item
    if not isinstance(slot, str) or type(start) is not int or type(end) is not int:
        raise BadExample("slot_spans")
    return slot, start, end


def _found(text: str, slots: Mapping[str, Value]) -> list[SlotSpan]:
    """Where a text without spans says its slots: words that stand there once, longest first, without overlap."""
    spans: list[SlotSpan] = []
    lowered = text.casefold()
    if len(lowered) != len(text):  # places would shift
        lowered = text
    for slot, value in sorted(slots.items(), key=lambda item: (-len(str(item[1])), item[0])):
        words = str(value).casefold()
        start = lowered.find(words)
        if isinstance(value, bool) or start < 0 or lowered.find(words, start + 1) >= 0:
            continue
        span = SlotSpan(slot, start, start + len(words))
        if all(span.end <= other.start or other.end <= span.start for other in spans):
            spans.append(span)
    return sorted(spans, key=lambda span: span.start)
