"""Whether a talk's tools must be called, and how many calls there may be. Words: OpenAI's chat completions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from hanlin.errors import InvalidInput
from hanlin.generation import MAX_CONSTRAINT, Constraint
from hanlin.tasks.base import Parameter
from hanlin.tasks.chat import Message
from hanlin.tasks.parameters import boolean, maybe_choice, word
from hanlin.tool_forms import FORMS, can_force, can_name, forced
from hanlin.types import JsonObject, shorten

_NO_ARGUMENTS: JsonObject = {"type": "object", "properties": {}, "additionalProperties": False}
CHOICE = maybe_choice(
    "tool_choice", "required: the answer is calls of the talk's tools, arguments by their own schemas", choices=("auto", "required"),
    example="required",
)  # fmt: skip
NAME = word("tool_name", "as `tool_choice` required: one call of this tool", example="look")
PARALLEL = boolean("parallel_tool_calls", "false: at most one call; what is written behind it is left out", default=True)
CHOOSING: tuple[Parameter[Any], ...] = (CHOICE, NAME, PARALLEL)


@dataclass(frozen=True, slots=True)
class Forced:
    """Calls that an answer must be.

    Attributes:
        tools: name and schema of the arguments of each that may be called.
        most: calls at most; 0: any number.
    """

    tools: tuple[JsonObject, ...]
    most: int

    def constraint(self, form: str, tokens: Mapping[str, int]) -> Constraint:
        """As a model writes them.

        Args:
            tokens: marks of the form that are single tokens of the model's.

        Raises:
            InvalidInput: `invalid_parameter` for tools that are too large, names that the form cannot hold, a form without a grammar.
        """
        known = FORMS[form]
        if not can_force(known):
            raise _wrong("tool_choice", f"auto or none: calls in this model's form ({form}) cannot be made certain", "required")
        for name in (str(tool["name"]) for tool in self.tools):
            if not can_name(known, name):
                raise _wrong(
                    "tools", "names without spaces, brackets and braces, of at most 256 characters, as the model calls", shorten(name)
                )
        text = json.dumps(forced(known, [*self.tools], most=self.most, tokens=tokens), ensure_ascii=False)
        if len(text) > MAX_CONSTRAINT:
            raise _wrong("tools", f"at most {MAX_CONSTRAINT} characters", str(len(text)))
        return Constraint("tool_calls", text)


def read_choice(parameters: JsonObject, talks: Sequence[Sequence[Message] | None]) -> tuple[Forced | None, bool]:
    """The calls that an answer must be, or whether it may have one at most.

    Raises:
        InvalidInput: `invalid_parameter` where there is no such tool, for several talks, beside another form.
    """
    choice, name, is_parallel = CHOICE.read(parameters), NAME.read(parameters), PARALLEL.read(parameters)
    if name is None and choice != "required":
        return None, not is_parallel
    if len(talks) != 1:
        raise _wrong("tool_choice", "auto where several items are sent", str(len(talks)))
    if parameters.get("grammar") is not None:
        raise _wrong("tool_choice", "auto beside another form of the answer", "another")
    tools = [_tool(text) for text in (talks[0][0].tools if talks[0] else ())]
    if name:
        tools = [tool for tool in tools if tool["name"] == name][:1]
    if not tools:
        raise _wrong("tool_name" if name else "tool_choice", "a tool of the talk", shorten(name or "none"))
    return Forced(tuple(tools), 1 if name or not is_parallel else 0), False


def _tool(text: str) -> JsonObject:
    """Name and schema of a tool that the system tells of; one that says nothing of parameters has none."""
    function = cast("JsonObject", cast("JsonObject", json.loads(text))["function"])
    schema = cast("JsonObject", function.get("parameters", _NO_ARGUMENTS))
    if schema.get("type", "object") != "object":
        raise _wrong("tools", "parameters of type object", "another")
    return {"name": function["name"], "parameters": schema | {"type": "object"}}


def _wrong(name: str, expected: str, found: str) -> InvalidInput:
    return InvalidInput("invalid_parameter", name=name, expected=expected, found=found)
