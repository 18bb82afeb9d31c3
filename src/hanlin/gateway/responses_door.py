"""OpenAI's responses, stateless. Source: its reference of `/v1/responses`. The model is the endpoint.

Nothing is kept: `previous_response_id` is refused, and `store` named as ignored. What is not sent is as the version writes by itself.
"""

from __future__ import annotations

from hanlin.errors import InvalidInput
from hanlin.gateway import generation_operations as operations
from hanlin.gateway import strict_json
from hanlin.gateway.door import Ask, Door
from hanlin.gateway.fields import choice, flag, integer, text, untaken
from hanlin.gateway.generation_fields import (
    MAX_LIKELIEST,
    TASK,
    check_metadata,
    content,
    form,
    ignored,
    length,
    listed,
    role_of,
    sampling,
    wrong_message,
)
from hanlin.gateway.responses_wire import Answer, AnswerStream
from hanlin.types import JsonObject, JsonValue, json_type, shorten

_IGNORED = (
    "store", "user", "service_tier", "parallel_tool_calls", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "prompt_cache_options", "reasoning", "max_tool_calls", "stream_options",
)  # fmt: skip
_UNTAKEN = ("previous_response_id", "conversation", "prompt", "context_management", "moderation", "image", "background_options")
_FIELDS = (
    "model", "input", "instructions", "max_output_tokens", "temperature", "top_p", "stream", "text", "truncation", "top_logprobs",
    "include", "metadata", "background", "tools", "tool_choice", *_IGNORED, *_UNTAKEN,
)  # fmt: skip
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_CHANCES = "message.output_text.logprobs"
_PARTS = ("input_text", "output_text", "text")


def read_response(body: bytes, _: str) -> Ask:
    """See `door.Read`."""
    value = strict_json.parse_object(body, allowed=_FIELDS, required=("model", "input"))
    untaken(value, _UNTAKEN)
    if listed(value, "tools"):
        raise InvalidInput("field_not_taken", name="tools")
    if flag(value, "background", default=False):
        raise InvalidInput("field_not_taken", name="background")
    if value.get("tool_choice") not in (None, "none", "auto"):
        raise InvalidInput("field_not_taken", name="tool_choice")
    seen = ignored(value, _IGNORED)
    said = _said(value["input"], seen)
    if value.get("instructions") is not None:
        said = [{"role": "system", "content": text(value, "instructions")}, *said]
    check_metadata(value)
    chances = _chances(value)
    form_of, shown = _text(value.get("text"), seen)
    echo: JsonObject = {
        name: value.get(name) for name in ("instructions", "max_output_tokens", "temperature", "top_p", "metadata", "truncation")
    } | {"text": shown}  # fmt: skip
    answer = Answer(text(value, "model"), echo, has_chances=bool(chances), ignored=tuple(seen))
    parameters = sampling(value) | length(value, "max_output_tokens") | form_of | chances | _truncation(value)
    stream = AnswerStream(answer) if flag(value, "stream", default=False) else None
    return Ask(answer.model, {"messages": said}, parameters, TASK, answer.write, stream=stream)


def _said(value: JsonValue, seen: list[str]) -> list[JsonValue]:
    """The talk: a text is the user's."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise wrong_message(f"input is {json_type(value)}, not a text or a list of messages" if not value else "no messages")
    return [_message(item, f"input {place}", seen) for place, item in enumerate(value)]


def _message(item: JsonValue, where: str, seen: list[str]) -> JsonObject:
    kind = item.get("type", "message") if isinstance(item, dict) else None
    if not isinstance(item, dict) or kind != "message":
        raise wrong_message(f"{where}: {shorten(kind) if isinstance(kind, str) else json_type(item)} is not read here, only message")
    for name in item:
        if name not in ("type", "role", "content", "id", "status", "phase"):
            raise wrong_message(f"{where}: there is no {shorten(name)}")
    return {"role": _ROLES[role_of(item, [*_ROLES], where)], "content": content(item.get("content"), where, kinds=_PARTS, seen=seen)}


def _text(value: JsonValue, seen: list[str]) -> tuple[JsonObject, JsonObject]:
    """The parameters that the form of an answer becomes, and what the answer says of it."""
    if value is None:
        return {}, {"format": {"type": "text"}}
    if not isinstance(value, dict):
        raise InvalidInput("invalid_parameter", name="text", expected="an object", found=json_type(value))
    strict_json.check_fields(value, allowed=("format", "verbosity"), required=())
    seen += [f"text.{name}" for name in ignored(value, ("verbosity",))]
    return form(value.get("format"), "text.format"), {"format": value.get("format") or {"type": "text"}}


def _chances(value: JsonObject) -> JsonObject:
    include = listed(value, "include")
    if any(name != _CHANCES for name in include):
        raise InvalidInput("invalid_parameter", name="include", expected=f"[{_CHANCES}]", found=json_type(include))
    top = integer(value, "top_logprobs", low=0, high=MAX_LIKELIEST)
    return {"details": True, **({"top_n_tokens": top} if top else {})} if include or top else {}


def _truncation(value: JsonObject) -> JsonObject:
    """Left out, the endpoint's policy."""
    if value.get("truncation") is None:
        return {}
    return {"truncation": choice(value, "truncation", ("disabled", "auto")) == "auto"}


DOORS = (Door("/v1/responses", read=read_response, post=operations.RESPONSES),)
