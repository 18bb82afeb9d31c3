"""Calls that a model's tokenizer answers alone, and what every call holds."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hanlin.errors import InvalidInput
from hanlin.serving.loaded import Loaded
from hanlin.serving.watchdog import WATCHDOG
from hanlin.serving.wire import Answer, Call
from hanlin.tasks.counting import count
from hanlin.tasks.tokenizing import decode, tokenize
from hanlin.types import JsonObject, JsonValue


def call_content(call: Call) -> tuple[JsonValue, JsonObject]:
    """Inputs and parameters. Raises InvalidInput (`parameters_not_an_object`)."""
    content = msgspec.msgpack.decode(call.content)
    if not isinstance(content, list) or len(content) != 2 or not isinstance(content[1], dict):
        raise InvalidInput("parameters_not_an_object")
    return content[0], content[1]


def answer_of_tokenizer(call: Call, loaded: Loaded, clock: Callable[[], float]) -> Answer:
    """The answer to `tokenize` or `decode`. Safe on any thread. Raises HanlinError."""
    begun_s = clock()
    inputs, parameters = call_content(call)
    with WATCHDOG.watched():
        if call.operation == "count":
            found = count(inputs, parameters, loaded.encoder, loaded.spec, loaded.limits)
        else:
            ask = tokenize if call.operation == "tokenize" else decode
            found = ask(inputs, parameters, loaded.encoder, loaded.limits)
    body = msgspec.json.encode(found.value)
    return Answer(call.id, body, found.items, found.tokens, 0.0, round((clock() - begun_s) * 1000, 3), 0.0)
