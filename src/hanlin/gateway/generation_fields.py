"""What the doors of text generation read alike: fields of sampling in OpenAI's words, forms of answers, what is named as ignored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

import msgspec

from hanlin.errors import InvalidInput
from hanlin.gateway.door import Framed
from hanlin.gateway.fields import integer, number
from hanlin.generation import MAX_CONSTRAINT
from hanlin.types import JsonObject, JsonValue, json_found, json_type, shorten

TASK = "text-generation"
MAX_TOKENS = 32_768
MAX_LIKELIEST = 20
MAX_SEQUENCES = 16
MAX_STOPS = 16
Lines = list[tuple[bytes, bytes]]

_GREEDY = 0.01  # below, what is drawn is the likeliest
_SCHEMA = "a JSON schema"
_OF_CHATS = "response_format"  # holds its schema one deeper than the forms of the others
SAMPLING = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias")


def sampling(value: JsonObject) -> JsonObject:
    """Parameters of the task for those of `SAMPLING` that are there. Raises InvalidInput (`invalid_parameter`)."""
    numbers = {
        "top_p": number(value, "top_p", low=0.01, high=1), "top_k": integer(value, "top_k", low=1, high=100_000),
        "seed": integer(value, "seed", low=0, high=2**53), "presence_penalty": number(value, "presence_penalty", low=-2, high=2),
        "frequency_penalty": number(value, "frequency_penalty", low=-2, high=2),
        "repetition_penalty": number(value, "repetition_penalty", low=0.01, high=100),
    }  # fmt: skip
    found: JsonObject = {name: each for name, each in numbers.items() if each is not None}
    warmth = number(value, "temperature", low=0, high=2)
    if warmth is not None:
        found |= {"do_sample": False} if warmth < _GREEDY else {"temperature": warmth}
    return found | ({"logit_bias": value["logit_bias"]} if value.get("logit_bias") is not None else {})


def length(value: JsonObject, *names: str) -> JsonObject:
    """The longest answer, under one of `names`. Raises InvalidInput (`invalid_parameter`) also for several that differ."""
    found = {name: size for name in names if (size := integer(value, name, low=1, high=MAX_TOKENS)) is not None}
    if len(set(found.values())) > 1:
        raise InvalidInput("invalid_parameter", name=names[0], expected=f"what {names[1]} is, or left out", found="another")
    return {"max_new_tokens": next(iter(found.values()))} if found else {}


def listed(value: JsonObject, name: str) -> list[JsonValue]:
    """A list, empty where none is sent. Raises InvalidInput (`invalid_parameter`)."""
    found = value.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise InvalidInput("invalid_parameter", name=name, expected="a list", found=json_type(found))
    return found


def stops(value: JsonObject, name: str) -> JsonObject:
    """Words that end the answer: one or a list. Raises InvalidInput (`invalid_parameter`)."""
    found = value.get(name)
    if found is None:
        return {}
    words: list[JsonValue] = found if isinstance(found, list) else [found]
    expected = f"a string or a list of at most {MAX_STOPS} strings"
    if len(words) > MAX_STOPS:
        raise _wrong(name, expected, f"{len(words)} of them")
    for word in words:
        if not isinstance(word, str):
            raise _wrong(name, expected, f"a list with {json_found(word)}" if found is words else json_found(word))
    return {"stop": words}


def form(value: JsonValue, name: str) -> JsonObject:
    """The form of an answer as OpenAI's chat completions say it, and as text-generation-inference does.

    Raises:
        InvalidInput: `invalid_parameter`.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(name, "an object with a type", json_type(value))
    kind = value.get("type")
    if not isinstance(kind, str):
        raise _wrong(name, "an object with a type", "an object without one" if kind is None else f"one of type {json_found(kind)}")
    if kind == "text":
        return {}
    if kind == "json_object" and value.get("value") is None:
        return {"grammar": {"type": "json_object"}}
    if kind == "json_schema":
        return {"grammar": {"type": "json", "value": _schema(value, name)}}
    if kind in ("json", "json_object"):  # the latter with a schema beside it where huggingface_hub writes it
        return {"grammar": {"type": "json", "value": _spelt(value, name, _SCHEMA)}}
    if kind in ("regex", "lark"):
        return {"grammar": {"type": kind, "value": _spelt(value, name, "a text that is not empty")}}
    raise _wrong(f"{name}.type", "text, json_object, json_schema, regex or lark", shorten(kind))


def _spelt(value: JsonObject, name: str, expected: str) -> JsonValue:
    """The `value` of a form, which the task reads under another name. Raises InvalidInput (`invalid_parameter`)."""
    found = value.get("value")
    is_schema = expected == _SCHEMA and isinstance(found, dict | bool)
    if not is_schema and (not isinstance(found, str) or not found):
        raise _wrong(f"{name}.value", expected, json_found(found))
    _check_size(found, f"{name}.value")
    return found


def _check_size(found: JsonValue, name: str) -> None:
    size = len(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False))
    if size > MAX_CONSTRAINT:
        raise _wrong(name, f"at most {MAX_CONSTRAINT} characters", str(size))


def _schema(value: JsonObject, name: str) -> JsonObject:
    """In `json_schema`, as chat completions have it, or beside the type, as responses and messages do."""
    within = value.get("json_schema", value)
    is_within = "json_schema" in value or (name == _OF_CHATS and "schema" not in value)
    where = f"{name}.json_schema" if is_within else name
    if not isinstance(within, dict):
        raise _wrong(where, "an object with a schema", json_found(within))
    schema = within.get("schema")
    if not isinstance(schema, dict):
        raise _wrong(f"{where}.schema", _SCHEMA, json_found(schema))
    _check_size(schema, f"{where}.schema")
    return schema


def ignored(value: JsonObject, names: Sequence[str]) -> list[str]:
    """Those of `names` that were sent and change nothing here."""
    return [name for name in names if value.get(name) not in (None, False)]


def check_metadata(value: JsonObject) -> None:
    """What an answer repeats of a call is short: OpenAI's bounds. Raises InvalidInput (`invalid_parameter`)."""
    found = value.get("metadata")
    if found is None:
        return
    expected = "an object of at most 16 names of 64 characters and texts of 512"
    if not isinstance(found, dict):
        raise _wrong("metadata", expected, json_type(found))
    if len(found) > 16:
        raise _wrong("metadata", expected, f"{len(found)} of them")
    for name, text in found.items():
        if not _is_short(name, text):
            raise _wrong("metadata", expected, f"one with {shorten(name)}")


def _is_short(name: str, text: JsonValue) -> bool:
    return len(name) <= 64 and isinstance(text, str) and len(text) <= 512


def told_ignored(names: Sequence[str]) -> Lines:
    """The header that says so."""
    return [(b"x-hanlin-ignored", ", ".join(dict.fromkeys(names)).encode())] if names else []


def framed(told: JsonObject, names: Sequence[str]) -> Framed:
    """A whole answer, and what was ignored."""
    return Framed(msgspec.json.encode(told), [(b"content-type", b"application/json"), *told_ignored(names)])


def content(value: JsonValue, where: str, kinds: Sequence[str] = ("text",), seen: list[str] | None = None) -> str:
    """What a message says: a text, or parts of texts, line by line.

    Args:
        kinds: types of parts that are texts.
        seen: what is ignored of them is added to it.

    Raises:
        InvalidInput: `invalid_messages`, naming the type of a part that is none.
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise wrong_message(f"{where}: the content is {json_found(value)}, not a text or a list of parts")
    return "\n".join(_part(part, f"{where}, part {place}", kinds, seen) for place, part in enumerate(value))


def _part(part: JsonValue, where: str, kinds: Sequence[str], seen: list[str] | None) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(part, dict) or kind not in kinds:
        found = shorten(kind) if isinstance(kind, str) else json_type(part)
        raise wrong_message(f"{where}: {found} is not read here, only {' and '.join(kinds)}")
    if not isinstance(part.get("text"), str):
        raise wrong_message(f"{where}: no text")
    for name in part.keys() - {"type", "text"}:
        if name not in _OF_PARTS:
            raise wrong_message(f"{where}: there is no {shorten(name)}")
        if seen is not None and part[name] not in (None, []):
            seen.append(name)
    return cast("str", part["text"])


def role_of(message: JsonObject, roles: Sequence[str], where: str) -> str:
    """Who says a message. Raises InvalidInput (`invalid_messages`) for none of `roles`."""
    role = message.get("role")
    if not isinstance(role, str) or role not in roles:
        raise wrong_message(f"{where}: role {shorten(role) if isinstance(role, str) else json_type(role)} of {', '.join(roles)}")
    return role


_OF_PARTS = ("cache_control", "citations", "annotations", "logprobs", "prompt_cache_breakpoint")


def wrong_message(problem: str) -> InvalidInput:
    """Of a talk that is none."""
    return InvalidInput("invalid_messages", index=0, problem=problem)


def _wrong(name: str, expected: str, found: str) -> InvalidInput:
    return InvalidInput("invalid_parameter", name=name, expected=expected, found=found)
