"""Anthropic's messages, and how many tokens they have. Source: its references of `/v1/messages` and `/v1/messages/count_tokens`.

The model is the endpoint. The key may stand in `x-api-key`. What is not sent is as the version writes by itself.
"""

from __future__ import annotations

from typing import cast

from hanlin.errors import InvalidInput
from hanlin.gateway import generation_operations as operations
from hanlin.gateway import strict_json
from hanlin.gateway.door import Ask, Door, Manner
from hanlin.gateway.fields import endpoint_of, flag, untaken
from hanlin.gateway.generation_fields import TASK, form, ignored, length, sampling, stops
from hanlin.gateway.messages_talk import talk, tool_choice, tools
from hanlin.gateway.messages_wire import Reply, ReplyStream, message_error, write_count
from hanlin.types import JsonObject, JsonValue, json_type

_IGNORED = ("metadata", "service_tier", "cache_control", "inference_geo", "speed", "diagnostics", "user_profile_id", "workspace_id")
_UNTAKEN = ("container", "mcp_servers", "context_management")
_TALK = ("model", "messages", "system", "thinking", "tools", "tool_choice", "output_config", *_IGNORED, *_UNTAKEN)
_FIELDS = (*_TALK, "max_tokens", "stop_sequences", "stream", "temperature", "top_k", "top_p")


def read_messages(body: bytes, _: str) -> Ask:
    """See `door.Read`."""
    value = strict_json.parse_object(body, allowed=_FIELDS, required=("model", "messages", "max_tokens"))
    seen = ignored(value, _IGNORED)
    inputs = _talk(value, seen)
    parameters = sampling(value) | length(value, "max_tokens") | stops(value, "stop_sequences") | _form(value, seen)
    parameters |= tool_choice(value)
    if "max_new_tokens" not in parameters:
        raise InvalidInput("missing_field", name="max_tokens")
    reply = Reply(endpoint_of(value), tuple(seen), tools=cast("list[JsonValue]", inputs.get("tools", [])))
    stream = ReplyStream(reply) if flag(value, "stream", default=False) else None
    return Ask(reply.model, inputs, parameters, TASK, reply.write, stream=stream)


def read_count(body: bytes, _: str) -> Ask:
    """See `door.Read`."""
    value = strict_json.parse_object(body, allowed=_TALK, required=("model", "messages"))
    _form(value, [])
    tool_choice(value)
    return Ask(endpoint_of(value), _talk(value, []), {}, TASK, write_count, operation="count")


def _talk(value: JsonObject, seen: list[str]) -> JsonObject:
    untaken(value, _UNTAKEN)
    _check_thought(value.get("thinking"))
    return {"messages": talk(value, seen), **tools(value, seen)}


def _check_thought(value: JsonValue) -> None:
    """Raises InvalidInput (`field_not_taken`) for thoughts that are to be told."""
    if value is not None and (not isinstance(value, dict) or value.get("type") != "disabled"):
        raise InvalidInput("field_not_taken", name="thinking")


def _form(value: JsonObject, seen: list[str]) -> JsonObject:
    config = value.get("output_config")
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise InvalidInput("invalid_parameter", name="output_config", expected="an object", found=json_type(config))
    strict_json.check_fields(config, allowed=("format", "effort"), required=())
    seen += [f"output_config.{name}" for name in ignored(config, ("effort",))]
    return form(config.get("format"), "output_config.format")


_QUERY = ("beta",)  # Anthropic's and OpenAI's packages send `?beta=true` from the part of them that is called so
_MANNER = Manner(refuse=message_error, key=b"x-api-key")
DOORS = (
    Door("/v1/messages", read=read_messages, manner=_MANNER, query=_QUERY, post=operations.MESSAGES),
    Door("/v1/messages/count_tokens", read=read_count, manner=_MANNER, query=_QUERY, post=operations.COUNT),
)
