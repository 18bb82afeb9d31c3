"""The items of OpenAI's responses: read into one plain form, which is what is stored of them, and made into a talk of the task.

Each item has exactly one text: what is said, a call's arguments, what a tool answered. Source: OpenAI's reference of `/v1/responses`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast
from uuid import uuid4

from hanlin.gateway.generation_fields import content, role_of, wrong_message
from hanlin.types import JsonObject, JsonValue, json_type, shorten

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_PARTS = ("input_text", "output_text", "text")
_OF_MESSAGES = ("type", "role", "content", "id", "status", "phase")
_OF_CALLS = ("type", "id", "call_id", "name", "arguments", "status", "namespace", "created_by")
_OF_OUTPUTS = ("type", "id", "call_id", "output", "status", "created_by")
_MAX_ID = 128


def read_items(value: JsonValue, seen: list[str]) -> list[JsonObject]:
    """What was sent as `input`: a text is the user's. What is ignored is added to `seen`. Raises InvalidInput (`invalid_messages`)."""
    if isinstance(value, str):
        return [_message({"role": "user", "content": value}, "input", seen)]
    if not isinstance(value, list):
        raise wrong_message(f"input is {json_type(value)}, not a text or a list of items")
    if not value:
        raise wrong_message("no messages")
    return [_item(item, f"input {place}", seen) for place, item in enumerate(value)]


def _item(item: JsonValue, where: str, seen: list[str]) -> JsonObject:
    kind = item.get("type", "message") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(kind, str) or kind not in _READ:
        found = shorten(kind) if isinstance(kind, str) else json_type(item)
        raise wrong_message(f"{where}: {found} is not read here, only {', '.join(_READ)}")
    known, read = _READ[kind]
    for name in item:
        if name not in known:
            raise wrong_message(f"{where}: there is no {shorten(name)}")
    return read(item, where, seen)


def _message(item: JsonObject, where: str, seen: list[str]) -> JsonObject:
    role = role_of(item, [*ROLES], where)
    said = content(item.get("content"), where, kinds=_PARTS, seen=seen)
    return message_item(role, said, name=_id(item, "msg", where))


def message_item(role: str, text: str, *, name: str) -> JsonObject:
    """A message that says a text."""
    part: JsonObject = (
        {"type": "output_text", "text": text, "annotations": []} if role == "assistant" else {"type": "input_text", "text": text}
    )
    return {"id": name, "type": "message", "role": role, "status": "completed", "content": [part]}


def _call(item: JsonObject, where: str, seen: list[str]) -> JsonObject:
    for name in ("call_id", "name", "arguments"):
        if not isinstance(item.get(name), str) or not item[name]:
            raise wrong_message(f"{where}: a function_call without {name}")
    return {
        "id": _id(item, "fc", where), "type": "function_call", "status": "completed", "call_id": item["call_id"], "name": item["name"],
        "arguments": item["arguments"],
    }  # fmt: skip


def _output(item: JsonObject, where: str, seen: list[str]) -> JsonObject:
    if not isinstance(item.get("call_id"), str):
        raise wrong_message(f"{where}: a function_call_output without call_id")
    said = "" if item.get("output") in ("", []) else content(item.get("output"), where, kinds=_PARTS, seen=seen)
    return {
        "id": _id(item, "fco", where), "type": "function_call_output", "status": "completed", "call_id": item["call_id"], "output": said,
    }  # fmt: skip


def _id(item: JsonObject, kind: str, where: str) -> str:
    found = item.get("id")
    if found is None:
        return f"{kind}_{uuid4().hex}"
    if not isinstance(found, str) or not 0 < len(found) <= _MAX_ID:
        raise wrong_message(f"{where}: id is {json_type(found)}, not a text of 1 to {_MAX_ID} characters")
    return found


Read = Callable[[JsonObject, str, list[str]], JsonObject]
_READ: dict[str, tuple[tuple[str, ...], Read]] = {
    "message": (_OF_MESSAGES, _message), "function_call": (_OF_CALLS, _call), "function_call_output": (_OF_OUTPUTS, _output),
}  # fmt: skip


def talk_of(items: Sequence[JsonObject]) -> list[JsonValue]:
    """The task's messages. What tools answered stands in the order of the calls, which is how models know what is whose.

    Raises:
        InvalidInput: `invalid_messages` for an answer to no call.
    """
    talk: list[JsonObject] = []
    called: dict[str, int] = {}
    answers: list[tuple[int, JsonObject]] = []

    def tell() -> None:
        talk.extend(said for _, said in sorted(answers, key=lambda each: each[0]))
        answers.clear()

    for item in items:
        if item["type"] == "function_call_output":
            name = str(item["call_id"])
            if name not in called:
                raise wrong_message(f"function_call_output: there is no function_call {shorten(name)}")
            answers.append((called[name], {"role": "tool", "content": item["output"]}))
            continue
        tell()
        if item["type"] == "function_call":
            called[str(item["call_id"])] = len(called)
            _add_call(talk, item)
        else:
            talk.append({"role": ROLES[str(item["role"])], "content": text_of(item)})
    tell()
    return cast("list[JsonValue]", talk)


def _add_call(talk: list[JsonObject], item: JsonObject) -> None:
    """To what the assistant is saying."""
    if not talk or talk[-1]["role"] != "assistant":
        talk.append({"role": "assistant", "content": None})
    calls = cast("list[JsonValue]", talk[-1].setdefault("tool_calls", []))
    calls.append({"type": "function", "function": {"name": item["name"], "arguments": item["arguments"]}})


def text_of(item: JsonObject) -> str:
    """The text of an item."""
    if item["type"] == "message":
        return str(cast("list[JsonObject]", item["content"])[0]["text"])
    return str(item["arguments"] if item["type"] == "function_call" else item["output"])


def with_text(item: JsonObject, text: str) -> JsonObject:
    """The same with another text, and without chances of tokens, which are of the first."""
    if item["type"] == "message":
        part = {name: each for name, each in cast("list[JsonObject]", item["content"])[0].items() if name != "logprobs"}
        return item | {"content": [part | {"text": text}]}
    return item | ({"arguments": text} if item["type"] == "function_call" else {"output": text})
