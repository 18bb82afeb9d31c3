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
    choice = value.get("tool_choice")
    is_parallel = flag(value, "parallel_tool_calls", default=True)
    if choice not in (None, "none", "auto", "required"):
        choice = _named(choice)
    if not tools:
        if choice not in (None, "none", "auto"):
            raise InvalidInput("invalid_parameter", name="tool_choice", expected="auto or none where no tools are sent", found="another")
        return {}
    return parameters(choice, is_parallel=is_parallel)


def parameters(choice: JsonValue, *, is_parallel: bool) -> JsonObject:
    """The task's words for a choice: None, `auto`, `none`, `required`, or one tool."""
    if choice == "none":
        return {}
    found: JsonObject = {} if choice in (None, "auto") else {"tool_choice": choice}
    return found | ({} if is_parallel else {"parallel_tool_calls": False})


def named(name: str) -> JsonObject:
    """The choice of one tool."""
    return {"type": "function", "function": {"name": name}}


def _named(choice: JsonValue) -> JsonObject:
    """A choice of one tool, in either form."""
    if isinstance(choice, str) or not isinstance(choice, dict):
        found = shorten(choice) if isinstance(choice, str) else json_type(choice)
        raise InvalidInput("invalid_parameter", name="tool_choice", expected="none, auto, required or one function", found=found)
    if choice.get("type") != "function":
        raise InvalidInput("field_not_taken", name="tool_choice")
    function = choice.get("function", choice)
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise InvalidInput("invalid_parameter", name="tool_choice", expected="a function with a name", found=json_type(name))
    return named(name)


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
