"""Calls of tools out of what a model wrote, whole or as it comes. Source: the form of Hermes, `<tool_call>` around a name and arguments.

What is no call that can be read stays text: nothing that a model wrote is lost.
"""

from __future__ import annotations

import json
from typing import NamedTuple
from uuid import uuid4

from hanlin.types import JsonObject, JsonValue

_MARK, _END = "<tool_call>", "</tool_call>"
_decoder = json.JSONDecoder()


class Said(NamedTuple):
    """What was written: words, and calls behind them."""

    text: str
    calls: list[JsonValue]


def split(text: str) -> Said:
    """Words and calls; where one of the calls cannot be read, all is words."""
    start = text.find(_MARK)
    if start < 0:
        return Said(text, [])
    calls: list[JsonValue] = []
    at = start
    while at < len(text):
        found = _call(text, at)
        if found is None:
            return Said(text, [])
        call, at = found
        calls.append(call)
    return Said(text[:start].rstrip(), calls)


def _call(text: str, at: int) -> tuple[JsonObject, int] | None:
    """The call that stands at `at`, and the place of what is behind it; None: it cannot be read."""
    if not text.startswith(_MARK, at):
        return None
    try:
        value, end = _decoder.raw_decode(text, _behind_space(text, at + len(_MARK)))
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # halves of characters and no numbers can be spelled, not sent
    except (ValueError, RecursionError):
        return None
    end = _behind_space(text, end)
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not isinstance(value.get("arguments", {}), dict):
        return None
    if end < len(text):
        if not text.startswith(_END, end):
            return None
        end = _behind_space(text, end + len(_END))
    arguments = json.dumps(value.get("arguments", {}), ensure_ascii=False)
    function: JsonObject = {"name": value["name"], "arguments": arguments}
    return {"id": f"call_{uuid4().hex[:24]}", "type": "function", "function": function}, end


def _behind_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


class ToolText:
    """The same while it is being written: words are told until a call may begin. Each piece is looked at once, however many there are."""

    def __init__(self) -> None:
        self._held: list[str] = []  # space that may stand before a call; the calls, once one has begun
        self._may_begin = ""  # behind it: what may be the beginning of the mark
        self._has_call = False

    def push(self, text: str) -> str:
        """Words that are surely words."""
        if self._has_call:
            self._held.append(text)
            return ""
        text = self._may_begin + text
        start = text.find(_MARK)
        self._has_call = start >= 0
        end = start if self._has_call else len(text) - _beginning(text)
        words = text[:end].rstrip()  # the space before a call is none of the words
        told = "".join((*self._held, words)) if words else ""
        if words:
            self._held.clear()
        rest = len(text) if self._has_call else end
        self._held.append(text[len(words) : rest])
        self._may_begin = text[rest:]
        return told

    def end(self) -> Said:
        """The rest."""
        return split("".join(self._held) + self._may_begin)


def _beginning(text: str) -> int:
    """Characters at the end that may begin the mark of a call."""
    return next((size for size in range(min(len(text), len(_MARK) - 1), 0, -1) if _MARK.startswith(text[-size:])), 0)
