"""Whether a talk's tools must be called: the form that the answer is then held to, and where it ends. Words: OpenAI's chat completions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from hanlin.errors import InvalidInput
from hanlin.generation import MAX_CONSTRAINT, Constraint
from hanlin.tasks.base import Parameter
from hanlin.tasks.chat import Message
from hanlin.tasks.chat_tools import CALL, CALL_END
from hanlin.tasks.parameters import boolean
from hanlin.types import JsonObject, json_type, shorten

_NO_ARGUMENTS: JsonObject = {"type": "object", "properties": {}, "additionalProperties": False}
_EXPECTED = "auto, required, or one function of the talk's tools"


def _choice(parameters: JsonObject) -> str | None:
    """The name of the one tool; empty: any; None: as the model likes."""
    value = parameters.get("tool_choice")
    if value in (None, "auto"):
        return None
    if value == "required":
        return ""
    function = value.get("function") if isinstance(value, dict) and value.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise _wrong(shorten(value) if isinstance(value, str) else json_type(value))
    return name


_SCHEMA: JsonObject = {
    "anyOf": [
        {"enum": ["auto", "required"]},
        {
            "type": "object", "required": ["type", "function"],
            "properties": {"type": {"const": "function"}, "function": {"type": "object", "required": ["name"]}},
        },
    ],
    "description": "required: the answer is calls of the talk's tools, arguments by their own schemas; a function: one call of it",
    "default": None, "example": "required",
}  # fmt: skip
CHOICE: Parameter[str | None] = Parameter("tool_choice", _SCHEMA, _choice)
PARALLEL = boolean("parallel_tool_calls", "whether an answer may hold more than one call of a tool", default=True)
CHOOSING: tuple[Parameter[Any], ...] = (CHOICE, PARALLEL)


def read_choice(parameters: JsonObject, talks: Sequence[Sequence[Message] | None]) -> tuple[Constraint | None, tuple[str, ...]]:
    """The form of an answer that must be calls, and words that end an answer behind its only call.

    Raises:
        InvalidInput: `invalid_parameter` where there is no such tool, for several talks, beside another form.
    """
    name, is_parallel = CHOICE.read(parameters), PARALLEL.read(parameters)
    if name is None:
        has_tools = any(talk and talk[0].tools for talk in talks)
        return None, () if is_parallel or not has_tools else (CALL_END,)
    if len(talks) != 1:
        raise _wrong("several items")
    if parameters.get("grammar") is not None:
        raise InvalidInput("invalid_parameter", name="tool_choice", expected="auto beside another form of the answer", found="another")
    tools = [_tool(text) for text in (talks[0][0].tools if talks[0] else ())]
    if name:
        tools = [tool for tool in tools if tool["name"] == name][:1]
    if not tools:
        raise _wrong(shorten(name) if name else "no tools")
    form = {
        "before": f"{CALL}\n", "behind": f"\n{CALL_END}", "between": "\n", "most": 1 if name or not is_parallel else 0, "tools": tools,
    }  # fmt: skip
    text = json.dumps(form, ensure_ascii=False)
    if len(text) > MAX_CONSTRAINT:
        raise InvalidInput("invalid_parameter", name="tools", expected=f"at most {MAX_CONSTRAINT} characters", found=str(len(text)))
    return Constraint("tool_calls", text), ()


def _tool(text: str) -> JsonObject:
    """Name and schema of a tool that the system tells of; one that says nothing of parameters has none."""
    function = cast("JsonObject", cast("JsonObject", json.loads(text))["function"])
    schema = cast("JsonObject", function.get("parameters", _NO_ARGUMENTS))
    if schema.get("type", "object") != "object":
        raise InvalidInput("invalid_parameter", name="tools", expected="parameters of type object", found="another")
    return {"name": function["name"], "parameters": schema | {"type": "object"}}


def _wrong(found: str) -> InvalidInput:
    return InvalidInput("invalid_parameter", name="tool_choice", expected=_EXPECTED, found=found)
