"""OpenAI's completions, whole answers only. Source: its reference of `/v1/completions`. The model is the endpoint.

What is not sent is as the version writes by itself, but for the length: 16 tokens, as there.
"""

from __future__ import annotations

from typing import cast
from uuid import uuid4

import msgspec

from hanlin.errors import InvalidInput
from hanlin.gateway import openai_operations as operations
from hanlin.gateway import strict_json
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.door import Ask, Door
from hanlin.gateway.fields import text
from hanlin.types import JsonObject, JsonValue, shorten

MAX_TOKENS = 16
_NAMES = {"max_tokens": "max_new_tokens", "temperature": "temperature", "top_p": "top_p", "seed": "seed", "echo": "return_full_text"}
# What OpenAI's clients may send and we take at one value alone: anything else would be answered otherwise than asked.
_FIXED: JsonObject = {
    "n": 1, "best_of": 1, "stream": False, "suffix": None, "logprobs": None, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    "logit_bias": {},
}  # fmt: skip
_FIELDS = ("model", "prompt", *_NAMES, "stop", "user", *_FIXED)


def read_completion(body: bytes, _: str) -> Ask:
    """See `door.Read`. Raises InvalidInput (`invalid_parameter`) for what these completions do not do."""
    value = strict_json.parse_object(body, allowed=_FIELDS, required=("model", "prompt"))
    model = text(value, "model")
    for name, only in _FIXED.items():
        if value.get(name) is not None and not _is_same(value[name], only):
            raise InvalidInput(
                "invalid_parameter",
                name=name,
                expected=msgspec.json.encode(only).decode(),
                found=shorten(msgspec.json.encode(value[name]).decode()),
            )
    if value.get("user") is not None:
        text(value, "user")
    prompt = value["prompt"]

    def write(outcome: Outcome) -> bytes:
        return _completion(outcome, model)

    return Ask(model, prompt if isinstance(prompt, list) else [prompt], _parameters(value), "text-generation", write)


def _is_same(found: JsonValue, only: JsonValue) -> bool:
    """In type, too: to Python `True` is 1 and `1.0` as well. Penalties may be whole numbers."""
    return found == only and (type(found) is type(only) or (type(found) is int and isinstance(only, float)))


def _parameters(value: JsonObject) -> JsonObject:
    found = {ours: value[theirs] for theirs, ours in _NAMES.items() if value.get(theirs) is not None}
    found.setdefault("max_new_tokens", MAX_TOKENS)
    if _is_same(found.get("temperature"), 0.0):  # their word for the likeliest token
        del found["temperature"]
        found["do_sample"] = False
    if (stop := value.get("stop")) is not None:
        found["stop"] = stop if isinstance(stop, list) else [stop]
    return found


def _completion(outcome: Outcome, model: str) -> bytes:
    rows = cast("list[JsonObject]", msgspec.json.decode(outcome.body))
    choices: list[JsonValue] = [
        {"index": index, "text": row["generated_text"], "finish_reason": row["finish_reason"], "logprobs": None}
        for index, row in enumerate(rows)
    ]
    written = sum(cast("int", row["num_tokens"]) for row in rows)
    usage: JsonObject = {
        "prompt_tokens": outcome.tokens, "completion_tokens": written, "total_tokens": outcome.tokens + written,
    }  # fmt: skip
    told: JsonObject = {"id": f"cmpl-{uuid4().hex}", "object": "text_completion", "created": 0, "model": model, "choices": choices}
    return msgspec.json.encode(told | {"usage": usage})


DOORS = (Door("/v1/completions", read=read_completion, post=operations.COMPLETIONS),)
