"""The messages of OpenAI's chat completions as a talk of the task. Source: its reference of `/v1/chat/completions`."""

from __future__ import annotations

from hanlin.gateway.generation_fields import content, role_of, wrong_message
from hanlin.types import JsonObject, JsonValue, json_type, shorten

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_FIELDS = ("role", "content", "name", "refusal", "annotations", "audio", "function_call", "tool_calls", "tool_call_id")
_NULL = ("audio", "function_call")  # of answers that come back as they were given


def talk(value: JsonValue, seen: list[str]) -> JsonValue:
    """The messages in the task's form; what is ignored of them is added to `seen`. Raises InvalidInput (`invalid_messages`)."""
    if not isinstance(value, list):
        raise wrong_message(f"messages is {json_type(value)}, not a list of messages")
    if not value:
        raise wrong_message("no messages")
    return [_message(message, f"message {place}", seen) for place, message in enumerate(value)]


def _message(message: JsonValue, where: str, seen: list[str]) -> JsonObject:
    if not isinstance(message, dict):
        raise wrong_message(f"{where} is {json_type(message)}, not an object")
    for name in message:
        if name not in _FIELDS:
            raise wrong_message(f"{where}: there is no {shorten(name)}")
    role = role_of(message, [*_ROLES], where)
    for name in _NULL:
        if message.get(name):
            raise wrong_message(f"{where}: {name} is not read here")
    seen += [f"messages.{name}" for name in ("name", "refusal", "annotations", "tool_call_id") if message.get(name)]
    said: JsonObject = {"role": _ROLES[role]}
    if calls := message.get("tool_calls"):
        said["tool_calls"] = calls
        if message.get("content") is None:
            return said | {"content": None}
    return said | {"content": content(message.get("content"), where, seen=seen)}
