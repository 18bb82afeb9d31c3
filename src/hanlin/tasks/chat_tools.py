"""Tools in talks: what a model is told of them, what it calls, what they answered. One form: that of Hermes, which Qwen speaks too.

Source: the format of NousResearch's Hermes function calling, as Qwen2.5's `chat_template` writes it. What callers say in it is words.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hanlin.errors import InvalidInput
from hanlin.tool_forms import FORMS, HERMES
from hanlin.types import JsonObject, JsonValue, json_type

if TYPE_CHECKING:
    from hanlin.tasks.chat import Message

MAX_TOOLS = 128
Part = tuple[str, bool]  # a text, and whether it is somebody's words
_CALL, _CALL_END = FORMS[HERMES].names
_RESULT, _RESULT_END = "<tool_response>", "</tool_response>"
_BEGIN = (
    "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
_END = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n"
    f'{_CALL}\n{{"name": <function-name>, "arguments": <args-json-object>}}\n{_CALL_END}'
)


def parts_of(message: Message) -> list[Part]:
    """What stands between the marks of a message."""
    found: list[Part] = [(message.content, True)]
    if message.role == "tool":
        return [(f"{_RESULT}\n", False), *found, (f"\n{_RESULT_END}", False)]
    for place, call in enumerate(message.calls):
        found += [(f"{_CALL}\n" if not place and not message.content else f"\n{_CALL}\n", False), (call, True), (f"\n{_CALL_END}", False)]
    if message.tools:
        found += [(_BEGIN, False), *(part for tool in message.tools for part in (("\n", False), (tool, True))), (_END, False)]
    return found


def read_tools(value: JsonValue, index: int) -> tuple[str, ...]:
    """Each tool as JSON text. Raises InvalidInput (`invalid_messages`) for what is no list of `{"type": "function", "function": {…}}`."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_TOOLS:
        raise _wrong(index, f"tools is not a list of 1 to {MAX_TOOLS}: {json_type(value)}")
    return tuple(_tool(tool, place, index) for place, tool in enumerate(value))


def _tool(tool: JsonValue, place: int, index: int) -> str:
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise _wrong(index, f"tool {place} is no function with a name")
    if not isinstance(function.get("parameters", {}), dict):
        raise _wrong(index, f"tool {place}: parameters are {json_type(function['parameters'])}, not a JSON schema")
    kept: JsonObject = {name: function[name] for name in ("name", "description", "parameters") if function.get(name) is not None}
    return json.dumps({"type": "function", "function": kept}, ensure_ascii=False)


def read_calls(value: JsonValue, where: str, index: int) -> tuple[str, ...]:
    """Each call of a message as JSON text of its name and arguments. Raises InvalidInput (`invalid_messages`)."""
    if not isinstance(value, list) or not 0 < len(value) <= MAX_TOOLS:
        raise _wrong(index, f"{where}: tool_calls is not a list of 1 to {MAX_TOOLS}: {json_type(value)}")
    return tuple(_call(call, where, index) for call in value)


def _call(call: JsonValue, where: str, index: int) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise _wrong(index, f"{where}: a call is no function with a name")
    given = function.get("arguments")
    try:
        arguments = json.loads(given) if isinstance(given, str) else given
        told = json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False, allow_nan=False)
        told.encode()  # a text within a text may spell half a character
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise _wrong(index, f"{where}: arguments are no JSON object")
    return told


def with_tools(messages: Sequence[Message], tools: tuple[str, ...]) -> tuple[Message, ...]:
    """The talk whose system tells of tools, beside what it says."""
    first = messages[0]
    if first.role == "system":
        return (first._replace(tools=tools), *messages[1:])
    return (type(first)("system", "", tools=tools), *messages)


def uses_tools(messages: Sequence[Message]) -> bool:
    """Whether a talk needs a form that has words for tools."""
    return any(message.role == "tool" or message.calls or message.tools for message in messages)


def _wrong(index: int, problem: str) -> InvalidInput:
    return InvalidInput("invalid_messages", index=index, problem=problem)
