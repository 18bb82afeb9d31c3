"""Answers of text generation as the doors find them: rows of a whole answer, pieces of a stream, tokens and their chances."""

from __future__ import annotations

from typing import cast

import msgspec

from hanlin.gateway.dataplane import Outcome
from hanlin.serving.wire import Part
from hanlin.types import JsonObject, JsonValue

_NEVER = -9999.0  # OpenAI's word for a chance of nothing
_decode = msgspec.json.Decoder().decode


def rows_of(outcome: Outcome) -> list[JsonObject]:
    """All answers in their order: those to each prompt beside each other."""
    found = _decode(outcome.body)
    rows = found if isinstance(found, list) else [found]
    return [row for each in rows for row in (each if isinstance(each, list) else [each])]


def piece_of(part: Part) -> JsonObject:
    """`text`, `tokens` and `top_tokens` where they are told of; of the last piece of a row `finish_reason` and `num_tokens` too."""
    return cast("JsonObject", _decode(part.body))


def usage_of(read: int, written: int) -> JsonObject:
    """Tokens in OpenAI's words."""
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def written_of(rows: list[JsonObject]) -> int:
    """Tokens of all answers."""
    return sum(cast("int", row["num_tokens"]) for row in rows)


def details_of(row: JsonObject) -> JsonObject:
    """What a row or a piece tells of its tokens; nothing where it does not."""
    return cast("JsonObject", row.get("details") or row)


def chances(told: JsonObject) -> list[JsonValue]:
    """Each token as OpenAI's chat completions tell of it."""
    tokens = cast("list[JsonObject]", told.get("tokens") or [])
    tops = cast("list[list[JsonObject]]", told.get("top_tokens") or [[] for _ in tokens])
    return [{**_chance(token), "top_logprobs": [_chance(each) for each in top]} for token, top in zip(tokens, tops, strict=True)]


def _chance(token: JsonObject) -> JsonObject:
    text = str(token["text"])
    return {"token": text, "logprob": log_of(token), "bytes": [*text.encode()]}


def log_of(token: JsonObject) -> float:
    """The logarithm of its chance."""
    found = token["logprob"]
    return _NEVER if found is None else max(_NEVER, float(cast("float", found)))
