"""Calls of tools out of what a model wrote, whole or as it comes, in the form that the answer names (`tool_forms.py`).

What is no call that can be read stays text: nothing that a model wrote is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import uuid4

from hanlin.tool_forms import FORMS, HERMES, Call, begins, calls_at
from hanlin.types import JsonObject, JsonValue


class Said(NamedTuple):
    """What was written: words, and calls behind them."""

    text: str
    calls: list[JsonValue]


class Told(NamedTuple):
    """What a row or a piece tells of its calls: their form, Hermes's where it names none that is known; how many count, 0: all."""

    form: str = HERMES
    most: int = 0


def told_of(row: JsonObject) -> Told:
    """What it tells."""
    name, most = str(row.get("tool_form")), row.get("most_calls")
    return Told(name if name in FORMS else HERMES, most if isinstance(most, int) else 0)


def split(text: str, told: Told, tools: Sequence[JsonValue]) -> Said:
    """Words and calls; where one of the calls cannot be read, all is words.

    Args:
        tools: that the talk told of.
    """
    form = FORMS[told.form]
    start = begins(text, form)
    if start < 0:
        return Said(text, [])
    try:
        calls, end = calls_at(text, start, form, tools)
    except (ValueError, RecursionError):
        return Said(text, [])
    if not calls or end < len(text):
        return Said(text, [])
    return Said(text[:start].rstrip(), [_call(call) for call in calls[: told.most or None]])


def _call(call: Call) -> JsonObject:
    function: JsonObject = {"name": call.name, "arguments": call.arguments}
    return {"id": f"call_{uuid4().hex[:24]}", "type": "function", "function": function}


class ToolText:
    """The same while it is being written: words are told until a call may begin. Each piece is looked at once, however many there are."""

    def __init__(self, tools: Sequence[JsonValue]) -> None:
        self._tools = tools
        self._held: list[str] = []  # space that may stand before a call; the calls, once one has begun
        self._may_begin = ""  # behind it: what may be the beginning of the mark
        self._has_call = False
        self._has_words = False
        self._told_of = Told()

    def push(self, text: str, told_of: Told) -> str:
        """Words that are surely words."""
        if self._has_call:
            self._held.append(text)
            return ""
        form = FORMS[told_of.form]
        self._told_of, mark, opening = told_of, form.mark, form.opening
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
        return split("".join(self._held) + self._may_begin, self._told_of, self._tools)


def _beginning(text: str, mark: str) -> int:
    """Characters at the end that may begin the mark of a call."""
    return next((size for size in range(min(len(text), len(mark) - 1), 0, -1) if mark.startswith(text[-size:])), 0)
