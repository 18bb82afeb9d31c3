"""Bodies in, calls out; outcomes and parts in, the protocol's bytes out: the doors of text generation without a server."""

from __future__ import annotations

import json

import msgspec

from hanlin.gateway.chat_door import read_chat
from hanlin.gateway.completions_door import read_completion
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.door import Ask, Framed
from hanlin.gateway.messages_door import read_messages
from hanlin.gateway.responses_door import read_response
from hanlin.serving.wire import Part

TALK = [{"role": "user", "content": "Hi"}]


ROW = {"generated_text": "Good day.", "finish_reason": "stop", "num_tokens": 3}


TOKENS = [
    {"id": 5, "text": "Good", "logprob": -0.5, "special": False},
    {"id": 6, "text": " day", "logprob": None, "special": False},
    {"id": 7, "text": ".", "logprob": -1.5, "special": False},
]


TOPS = [[token, {"id": 9, "text": "No", "logprob": -3.0, "special": False}] for token in TOKENS]


PIECES: list[dict] = [{"text": "Good"}, {"text": " day"}, {"text": ".", "finish_reason": "stop", "num_tokens": 3}]


ODD = 'a\n\ndata: [DONE]\r\n"好" 🙂\u2028'


def chat(**more: object) -> Ask:
    return read_chat(json.dumps({"model": "poet", "messages": TALK, **more}).encode(), "")


def complete(**more: object) -> Ask:
    return read_completion(json.dumps({"model": "poet", "prompt": "Hi", **more}).encode(), "")


def message(**more: object) -> Ask:
    return read_messages(json.dumps({"model": "poet", "messages": TALK, "max_tokens": 8, **more}).encode(), "")


def respond(**more: object) -> Ask:
    return read_response(json.dumps({"model": "poet", "input": "Hi", **more}).encode(), "")


def outcome(value: object, tokens: int = 4) -> Outcome:
    return Outcome(msgspec.json.encode(value), "poet:1", "torch-fp32", 1, tokens, 0, 0, 0, task="text-generation")


def written(ask: Ask, value: object, tokens: int = 4) -> tuple[dict, dict[str, str]]:
    assert ask.write is not None
    found = ask.write(outcome(value, tokens))
    if isinstance(found, bytes):
        return json.loads(found), {}
    assert isinstance(found, Framed)
    return json.loads(found.body), {name.decode(): text.decode() for name, text in found.headers}


def events(ask: Ask, pieces: list[tuple[int, dict]] | None = None, value: object = ROW, tokens: int = 4) -> list[tuple[str, dict | str]]:
    """Name and data of each event, as a client reads them."""
    assert ask.stream is not None
    told = ask.stream.begin()
    for row, piece in pieces if pieces is not None else [(0, piece) for piece in PIECES]:
        told += ask.stream.part(Part(1, row, msgspec.json.encode(piece), 1))
    told += ask.stream.end(outcome(value, tokens))
    return parsed(told)


def parsed(told: bytes) -> list[tuple[str, dict | str]]:
    assert told.endswith(b"\n\n")
    found = []
    for block in told.decode()[:-2].split("\n\n"):
        *names, data = block.split("\n")
        assert data.startswith("data: ")
        text = data.removeprefix("data: ")
        found.append((names[0].removeprefix("event: ") if names else "", text if text == "[DONE]" else json.loads(text)))
    return found


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


CALLED = 'Let me see.\n<tool_call>\n{"name": "look", "arguments": {"at": "<b>"}}\n</tool_call>\n<tool_call>\n{"name": "go"}\n</tool_call>'
