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
    words, rest = text[:start].rstrip(), text[start:].strip()
    while rest:
        found = _first(rest)
        if found is None:
            return Said(text, [])
        call, rest = found
        calls.append(call)
    return Said(words, calls)


def _first(text: str) -> tuple[JsonObject, str] | None:
    """The call that a text begins with, and what is behind it; None: it cannot be read."""
    if not text.startswith(_MARK):
        return None
    text = text.removeprefix(_MARK).lstrip()
    try:
        value, end = _decoder.raw_decode(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # halves of characters and no numbers can be spelled, not sent
    except (ValueError, RecursionError):
        return None
    rest = text[end:].lstrip()
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not isinstance(value.get("arguments", {}), dict):
        return None
    if rest and not rest.startswith(_END):
        return None
    arguments = json.dumps(value.get("arguments", {}), ensure_ascii=False)
    function: JsonObject = {"name": value["name"], "arguments": arguments}
    return {"id": f"call_{uuid4().hex[:24]}", "type": "function", "function": function}, rest.removeprefix(_END).lstrip()


class ToolText:
    """The same while it is being written: words are told until a call may begin."""

    def __init__(self) -> None:
        self._held = ""

    def push(self, text: str) -> str:
        """Words that are surely words."""
        self._held += text
        start = self._held.find(_MARK)
        end = start if start >= 0 else len(self._held) - _beginning(self._held)
        end = len(self._held[:end].rstrip())  # the space before a call is none of the words
        told, self._held = self._held[:end], self._held[end:]
        return told

    def end(self) -> Said:
        """The rest."""
        return split(self._held)


def _beginning(text: str) -> int:
    """Characters at the end that may begin the mark of a call."""
    return next((size for size in range(min(len(text), len(_MARK) - 1), 0, -1) if _MARK.startswith(text[-size:])), 0)
