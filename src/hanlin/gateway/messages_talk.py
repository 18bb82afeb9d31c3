"""The messages of Anthropic's API as a talk of the task, tools among them. Source: its reference of `/v1/messages`."""

from __future__ import annotations

from hanlin.errors import InvalidInput
from hanlin.gateway import strict_json
from hanlin.gateway.fields import flag, text
from hanlin.gateway.generation_fields import content, role_of, wrong_message
from hanlin.gateway.tool_fields import parameters
from hanlin.types import JsonObject, JsonValue, json_type, shorten

_ROLES = ("user", "assistant")
_CHOICES = {"auto": "auto", "any": "required", "tool": "required", "none": "none"}
_OF_TOOLS = ("name", "description", "input_schema", "type", "cache_control", "strict", "eager_input_streaming")


def talk(value: JsonObject, seen: list[str]) -> list[JsonValue]:
    """System and messages in the task's form; what is ignored is added to `seen`. Raises InvalidInput (`invalid_messages`)."""
    messages = value["messages"]
    if not isinstance(messages, list):
        raise wrong_message(f"messages is {json_type(messages)}, not a list of messages")
    if not messages:
        raise wrong_message("no messages")
    said = [each for place, message in enumerate(messages) for each in _message(message, f"message {place}", seen)]
    system = value.get("system")
    head: list[JsonValue] = [] if system in (None, "", []) else [{"role": "system", "content": content(system, "system", seen=seen)}]
    return [*head, *said]


def tools(value: JsonObject, seen: list[str]) -> JsonObject:
    """What the model is told of tools. Raises InvalidInput (`invalid_messages`)."""
    choice = value.get("tool_choice")
    found = value.get("tools")
    if found is None or found == []:
        return {}
    if not isinstance(found, list):
        raise wrong_message(f"tools is {json_type(found)}, not a list")
    made: list[JsonValue] = [_tool(tool, place, seen) for place, tool in enumerate(found)]
    return {"tools": made} if not isinstance(choice, dict) or choice.get("type") != "none" else {}


def tool_choice(value: JsonObject) -> JsonObject:
    """The parameters that `tool_choice` becomes. Raises InvalidInput (`invalid_parameter`), for a choice among no tools, too."""
    choice = value.get("tool_choice")
    if choice is None:
        return {}
    kind = choice.get("type") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(kind, str) or kind not in _CHOICES:
        found = shorten(kind) if isinstance(kind, str) else json_type(choice)
        raise InvalidInput("invalid_parameter", name="tool_choice", expected=f"an object of type {', '.join(_CHOICES)}", found=found)
    strict_json.check_fields(choice, allowed=("type", "name", "disable_parallel_tool_use"), required=("name",) if kind == "tool" else ())
    if kind in ("any", "tool") and not value.get("tools"):
        raise InvalidInput("invalid_parameter", name="tool_choice", expected="auto or none where no tools are sent", found=kind)
    if not value.get("tools"):
        return {}
    is_single = flag(choice, "disable_parallel_tool_use", default=False)
    name = text(choice, "name") if kind == "tool" else ""
    return parameters(_CHOICES[str(kind)], name=name, is_parallel=not is_single)


def _tool(tool: JsonValue, place: int, seen: list[str]) -> JsonObject:
    if not isinstance(tool, dict) or tool.get("type") not in (None, "custom"):
        kind = tool.get("type") if isinstance(tool, dict) else None
        raise wrong_message(f"tool {place}: {shorten(kind) if isinstance(kind, str) else json_type(tool)} is not there, only custom tools")
    for name in tool:
        if name not in _OF_TOOLS:
            raise wrong_message(f"tool {place}: there is no {shorten(name)}")
    seen += [f"tools.{name}" for name in ("cache_control", "strict", "eager_input_streaming") if tool.get(name)]
    function: JsonObject = {"name": tool.get("name"), "description": tool.get("description"), "parameters": tool.get("input_schema")}
    return {"type": "function", "function": {name: each for name, each in function.items() if each is not None}}


def _message(message: JsonValue, where: str, seen: list[str]) -> list[JsonValue]:
    """One message, and what tools answered before it as messages of their own."""
    if not isinstance(message, dict):
        raise wrong_message(f"{where} is {json_type(message)}, not an object")
    if message.keys() != {"role", "content"}:
        raise wrong_message(f"{where} is not role and content")
    role, blocks = role_of(message, _ROLES, where), message["content"]
    mine = "tool_use" if role == "assistant" else "tool_result"
    special: list[JsonObject] = []
    words: list[JsonValue] = []
    for each in blocks if isinstance(blocks, list) else []:
        if isinstance(each, dict) and each.get("type") == mine:
            special.append(each)
        else:
            words.append(each)
    if not special:
        return [{"role": role, "content": content(blocks, where, seen=seen)}]
    said = content(words, where, seen=seen) if words else ""
    if role == "assistant":
        return [{"role": role, "content": said, "tool_calls": [_call(each, where) for each in special]}]
    results: list[JsonValue] = [{"role": "tool", "content": _result(each, where, seen)} for each in special]
    spoken: list[JsonValue] = [{"role": role, "content": said}] if said else []
    return [*results, *spoken]


def _call(block: JsonObject, where: str) -> JsonObject:
    if not isinstance(block.get("name"), str) or not isinstance(block.get("input"), dict):
        raise wrong_message(f"{where}: a tool_use without name and input")
    return {"type": "function", "function": {"name": block["name"], "arguments": block["input"]}}


def _result(block: JsonObject, where: str, seen: list[str]) -> str:
    seen += [f"tool_result.{name}" for name in ("is_error", "cache_control") if block.get(name)]
    return content(block["content"], where, seen=seen) if block.get("content") not in (None, "", []) else ""
