"""Calls of tools out of what a model wrote, whole or as it comes, in the form that the answer names (`tool_forms.py`).

What is no call that can be read stays text: nothing that a model wrote is lost.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import uuid4

from hanlin.tool_forms import FORMS, HERMES, Call, begins, calls_at
from hanlin.types import JsonObject, JsonValue


class Said(NamedTuple):
    """What was written: words, and calls behind them."""

    text: str
    calls: list[JsonValue]


def form_of(told: JsonObject) -> str:
    """The form that a row or a piece names; Hermes's where it names none that is known."""
    name = str(told.get("tool_form"))
    return name if name in FORMS else HERMES


def split(text: str, form: str = HERMES) -> Said:
    """Words and calls; where one of the calls cannot be read, all is words."""
    start = begins(text, FORMS[form])
    if start < 0:
        return Said(text, [])
    try:
        calls, end = calls_at(text, start, FORMS[form])
    except (ValueError, RecursionError):
        return Said(text, [])
    if not calls or end < len(text):
        return Said(text, [])
    return Said(text[:start].rstrip(), [_told(call) for call in calls])


def _told(call: Call) -> JsonObject:
    function: JsonObject = {"name": call.name, "arguments": call.arguments}
    return {"id": f"call_{uuid4().hex[:24]}", "type": "function", "function": function}


class ToolText:
    """The same while it is being written: words are told until a call may begin. Each piece is looked at once, however many there are."""

    def __init__(self) -> None:
        self._held: list[str] = []  # space that may stand before a call; the calls, once one has begun
        self._may_begin = ""  # behind it: what may be the beginning of the mark
        self._has_call = False
        self._has_words = False
        self._form = HERMES

    def push(self, text: str, form: str = HERMES) -> str:
        """Words that are surely words."""
        if self._has_call:
            self._held.append(text)
            return ""
        self._form, mark, opening = form, FORMS[form].mark, FORMS[form].opening
        text = self._may_begin + text
        is_open = bool(opening) and not self._has_words and text.lstrip().startswith(opening)
        start = 0 if is_open else text.find(mark)
        self._has_call = start >= 0
        end = start if self._has_call else len(text) - _beginning(text, mark)
        words = text[:end].rstrip()  # the space before a call is none of the words
        told = "".join((*self._held, words)) if words else ""
        if words:
            self._held.clear()
            self._has_words = True
        rest = len(text) if self._has_call else end
        self._held.append(text[len(words) : rest])
        self._may_begin = text[rest:]
        return told

    def end(self) -> Said:
        """The rest."""
        return split("".join(self._held) + self._may_begin, self._form)


def _beginning(text: str, mark: str) -> int:
    """Characters at the end that may begin the mark of a call."""
    return next((size for size in range(min(len(text), len(mark) - 1), 0, -1) if mark.startswith(text[-size:])), 0)
