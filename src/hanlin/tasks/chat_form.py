"""The form in which a model reads talks: what stands before and behind the words of each role. Data, not a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from hanlin.errors import InvalidInput
from hanlin.types import JsonObject, JsonValue

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = get_args(Role)
ToolForm = Literal["", "hermes"]  # how a model is told of tools; empty: not at all
_MAX_MARK = 200  # characters


@dataclass(frozen=True, slots=True)
class ChatForm:
    """How a talk becomes one text.

    Attributes:
        begin: what stands before the first message.
        marks: what stands before and behind what each role says; a role that is not there cannot speak.
        system: what the system says where a talk does not begin with it; empty: nothing.
        tools: how it is told of tools, calls them and hears what they answered.
    """

    begin: str = ""
    marks: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    system: str = ""
    tools: ToolForm = ""

    def to_json(self) -> JsonObject:
        """The stored form."""
        marks: JsonObject = {role: [*pair] for role, pair in self.marks.items()}
        return {"begin": self.begin, "marks": marks, "system": self.system, **({"tools": self.tools} if self.tools else {})}

    @classmethod
    def from_json(cls, value: JsonValue) -> ChatForm:
        """What `to_json` wrote. Raises InvalidInput (`invalid_model_spec`)."""
        _check(isinstance(value, dict) and value.keys() - {"tools"} == {"begin", "marks", "system"}, "not begin, marks and system")
        found = cast("JsonObject", value)
        marks = found["marks"]
        _check(isinstance(marks, dict) and {"user", "assistant"} <= marks.keys() <= set(ROLES), "no marks of user and assistant")
        pairs = {role: _pair(pair) for role, pair in cast("JsonObject", marks).items()}
        for name in ("begin", "system"):
            _check(isinstance(found[name], str), f"{name} is no string")
        tools = found.get("tools", "")
        _check(tools in get_args(ToolForm), "tools are of no form that is known")
        return cls(str(found["begin"]), pairs, str(found["system"]), cast("ToolForm", tools))


CHATML = ChatForm(marks={role: (f"<|im_start|>{role}\n", "<|im_end|>\n") for role in ROLES})
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")


def plain_form(end: str) -> ChatForm:
    """Talks in words alone, for a tokenizer without marks of its own: `end`, the token that ends a text, ends an answer."""
    return ChatForm(marks={"system": ("", "\n\n"), "user": ("User: ", "\n"), "assistant": ("Assistant: ", f"{end}\n")})


def _pair(value: JsonValue) -> tuple[str, str]:
    is_right = isinstance(value, list) and len(value) == 2 and all(isinstance(mark, str) and len(mark) <= _MAX_MARK for mark in value)
    _check(is_right, "marks are not two short strings")
    before, behind = cast("list[str]", value)
    return before, behind


def _check(is_right: bool, problem: str) -> None:
    if not is_right:
        raise InvalidInput("invalid_model_spec", field="chat", problem=problem)
