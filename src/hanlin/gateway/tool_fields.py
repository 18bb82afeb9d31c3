"""What a call says of tools, as the task's parameters: which must be called, and whether several may be.

Forms: OpenAI's chat completions (`{"type": "function", "function": {"name": …}}`) and responses (`{"type": "function", "name": …}`).
"""

from __future__ import annotations

from hanlin.errors import InvalidInput
from hanlin.gateway.fields import flag
from hanlin.gateway.generation_fields import wrong_message
from hanlin.types import JsonObject, JsonValue, json_type, shorten


def chosen(value: JsonObject, tools: list[JsonValue]) -> JsonObject:
    """Parameters that `tool_choice` and `parallel_tool_calls` become, none where nothing is asked beyond what is done anyway.

    Args:
        tools: that are told of.

    Raises:
        InvalidInput: `invalid_parameter`; `field_not_taken` for kinds of choices that are not made here.
    """
    is_parallel = flag(value, "parallel_tool_calls", default=True)
    choice, name = _choice(value.get("tool_choice"))
    if not tools:
        if choice == "required":
            raise InvalidInput("invalid_parameter", name="tool_choice", expected="auto or none where no tools are sent", found="another")
        return {}
    return parameters(choice, name=name, is_parallel=is_parallel)


def parameters(choice: str, *, name: str = "", is_parallel: bool) -> JsonObject:
    """The task's words for a choice: `auto`, `none`, or `required`; `name`: of the one tool."""
    if choice == "none":
        return {}
    found: JsonObject = {"tool_choice": choice} if choice != "auto" else {}
    return found | ({"tool_name": name} if name else {}) | ({} if is_parallel else {"parallel_tool_calls": False})


def _choice(choice: JsonValue) -> tuple[str, str]:
    """What is chosen, and the name of the one tool, in either form; empty: none."""
    if choice is None or choice in ("none", "auto", "required"):
        return str(choice or "auto"), ""
    if not isinstance(choice, dict):
        found = shorten(choice) if isinstance(choice, str) else json_type(choice)
        raise InvalidInput("invalid_parameter", name="tool_choice", expected="none, auto, required or one function", found=found)
    if choice.get("type") != "function":
        raise InvalidInput("field_not_taken", name="tool_choice")
    function = choice.get("function", choice)
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise InvalidInput("invalid_parameter", name="tool_choice", expected="a function with a name", found=json_type(name))
    return "required", name


_OF_TOOLS = ("type", "name", "description", "parameters", "strict")


def flat_tools(value: list[JsonValue], seen: list[str]) -> list[JsonValue]:
    """Tools of responses in the form of chats. Raises InvalidInput (`invalid_messages`)."""
    return [_chat_tool(tool, place, seen) for place, tool in enumerate(value)]


def _chat_tool(tool: JsonValue, place: int, seen: list[str]) -> JsonObject:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if not isinstance(tool, dict) or kind != "function":
        found = shorten(kind) if isinstance(kind, str) else json_type(tool)
        raise wrong_message(f"tool {place}: {found} is not there, only function")
    for name in tool:
        if name not in _OF_TOOLS:
            raise wrong_message(f"tool {place}: there is no {shorten(name)}")
    seen += ["tools.strict"] if tool.get("strict") else []
    function: JsonObject = {name: tool[name] for name in ("name", "description", "parameters") if tool.get(name) is not None}
    return {"type": "function", "function": function}
