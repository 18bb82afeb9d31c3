"""Whether a talk's tools must be called: the form that the answer is then held to, and where it ends. Words: OpenAI's chat completions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from hanlin.errors import InvalidInput
from hanlin.generation import MAX_CONSTRAINT, Constraint
from hanlin.tasks.base import Parameter
from hanlin.tasks.chat import Message
from hanlin.tasks.chat_tools import CALL_END
from hanlin.tasks.parameters import boolean, maybe_choice, word
from hanlin.tool_forms import FORMS, HERMES, can_name, forced
from hanlin.types import JsonObject, JsonValue, shorten

_NO_ARGUMENTS: JsonObject = {"type": "object", "properties": {}, "additionalProperties": False}
CHOICE = maybe_choice(
    "tool_choice", "required: the answer is calls of the talk's tools, arguments by their own schemas", choices=("auto", "required"),
    example="required",
)  # fmt: skip
NAME = word("tool_name", "as `tool_choice` required: one call of this tool", example="look")
PARALLEL = boolean(
    "parallel_tool_calls", "false: at most one call, of models that call in Hermes's form or where a call is made certain", default=True
)
CHOOSING: tuple[Parameter[Any], ...] = (CHOICE, NAME, PARALLEL)


def read_choice(parameters: JsonObject, talks: Sequence[Sequence[Message] | None]) -> tuple[Constraint | None, tuple[str, ...]]:
    """The form of an answer that must be calls, and words that end an answer behind its only call.

    Raises:
        InvalidInput: `invalid_parameter` where there is no such tool, for several talks, beside another form.
    """
    choice, name, is_parallel = CHOICE.read(parameters), NAME.read(parameters), PARALLEL.read(parameters)
    if name is None and choice != "required":
        has_tools = any(talk and talk[0].tools for talk in talks)
        return None, () if is_parallel or not has_tools else (CALL_END,)
    if len(talks) != 1:
        raise _wrong("tool_choice", "auto where several items are sent", str(len(talks)))
    if parameters.get("grammar") is not None:
        raise _wrong("tool_choice", "auto beside another form of the answer", "another")
    tools = [_tool(text) for text in (talks[0][0].tools if talks[0] else ())]
    if name:
        tools = [tool for tool in tools if tool["name"] == name][:1]
    if not tools:
        raise _wrong("tool_name" if name else "tool_choice", "a tool of the talk", shorten(name or "none"))
    form = forced(FORMS[HERMES], [*tools], most=1 if name or not is_parallel else 0, tokens={})
    return _constraint(form), ()


def in_form(constraint: Constraint, form: str, tokens: Mapping[str, int]) -> Constraint:
    """The same calls as a model writes them.

    Args:
        tokens: marks of the form that are single tokens of the model's.

    Raises:
        InvalidInput: `invalid_parameter` for tools that are too large, or whose names the form cannot hold.
    """
    told = cast("JsonObject", json.loads(constraint.text))
    tools = cast("list[JsonValue]", told["tools"])
    for tool in tools:
        if not can_name(FORMS[form], name := str(cast("JsonObject", tool)["name"])):
            raise _wrong("tools", "names without spaces, brackets and braces, of at most 256 characters, as the model calls", shorten(name))
    return _constraint(forced(FORMS[form], tools, most=cast("int", told["most"]), tokens=tokens))


def _constraint(form: JsonObject) -> Constraint:
    text = json.dumps(form, ensure_ascii=False)
    if len(text) > MAX_CONSTRAINT:
        raise _wrong("tools", f"at most {MAX_CONSTRAINT} characters", str(len(text)))
    return Constraint("tool_calls", text)


def _tool(text: str) -> JsonObject:
    """Name and schema of a tool that the system tells of; one that says nothing of parameters has none."""
    function = cast("JsonObject", cast("JsonObject", json.loads(text))["function"])
    schema = cast("JsonObject", function.get("parameters", _NO_ARGUMENTS))
    if schema.get("type", "object") != "object":
        raise _wrong("tools", "parameters of type object", "another")
    return {"name": function["name"], "parameters": schema | {"type": "object"}}


def _wrong(name: str, expected: str, found: str) -> InvalidInput:
    return InvalidInput("invalid_parameter", name=name, expected=expected, found=found)
