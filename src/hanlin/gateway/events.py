"""Server-sent events: what a stream is made of. Source: WHATWG's HTML, 9.2. JSON has no line breaks, so an event's data is one line."""

from __future__ import annotations

import msgspec

from hanlin.types import JsonObject

DONE = b"data: [DONE]\n\n"  # the end mark of OpenAI's streams
_encode = msgspec.json.Encoder().encode


def event(value: JsonObject, name: str = "") -> bytes:
    """One event; `name` where its protocol names them."""
    return raw_event(_encode(value), name)


def raw_event(data: bytes, name: str = "") -> bytes:
    """One event of JSON text."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), data) if name else b"data: %s\n\n" % data
