"""Calls of tools in what a model writes: the same words and calls however it is cut, in time that grows with the text alone."""

from __future__ import annotations

import json
import random
import time
from itertools import pairwise

import pytest

from hanlin.gateway.tool_calls import Told, ToolText, split

CALL = '<tool_call>\n{"name": "look", "arguments": {"at": "<tool_call>"}}\n</tool_call>'
TEXTS = [
    "words", f"words \n {CALL}\n{CALL} ", f"{CALL} words", f"  a < b <tool \u3000{CALL}", "<tool_call>{", "words <tool", "", " \n ",
    '<tool_call>{"name": "look"}', '<tool_call>{"name": 1}</tool_call>', "a <tool_call>", f"{CALL}<tool_call>",
]  # fmt: skip


def names(calls: list) -> list[tuple[str, str]]:
    return [(call["function"]["name"], call["function"]["arguments"]) for call in calls]


@pytest.mark.parametrize("text", TEXTS)
def test_however_it_is_cut_words_and_calls_are_those_of_the_whole(text: str) -> None:
    whole = split(text, Told(), [])
    assert names(whole.calls) == [("look", json.dumps({"at": "<tool_call>"}) if "arguments" in text else "{}")] * len(whole.calls)
    source = random.Random(7)
    for _ in range(50):
        places = [0, *sorted(source.randrange(len(text) + 1) for _ in range(source.randrange(9))), len(text)]
        written = ToolText([])
        told = "".join(written.push(text[start:end], Told()) for start, end in pairwise(places))
        rest = written.end()
        assert (told + rest.text, names(rest.calls)) == (whole.text, names(whole.calls))


@pytest.mark.parametrize("piece", [" ", "x", '"}</tool_call>'])
def test_a_hundred_thousand_pieces_take_the_time_of_their_text(piece: str) -> None:
    """Bug: what was held back was copied for each piece: nine seconds for a hundred thousand of space."""
    written = ToolText([])
    begun_s = time.process_time()
    told = [written.push(text, Told()) for text in ("words ", "" if piece == " " else "<tool_call>", *[piece * 2] * 100_000)]
    assert "".join(told) == "words"
    written.end()
    assert time.process_time() - begun_s < 3
