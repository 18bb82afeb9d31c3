"""The form in which a model reads talks: what stands before and behind the words of each role. Data, not a program; where the model's
own template is of no form that is known, the template itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from hanlin.errors import InvalidInput
from hanlin.types import JsonObject, JsonValue

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = get_args(Role)
ToolForm = Literal["", "hermes"]  # how a model is told of tools; empty: not at all
ToldTools = Literal[
    "", "hermes", "llama", "mistral", "mistral-named", "qwen-coder", "own"
]  # of a template, by `tool_forms`; own: of no known form
MAX_TEMPLATE_BYTES = 64 * 2**10
MAX_MARK = 200  # characters


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

    @property
    def end(self) -> str:
        """What ends an answer."""
        return self.marks["assistant"][1].strip()

    @property
    def hears_system(self) -> bool:
        """Whether a system may speak."""
        return "system" in self.marks

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


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A model's own template, run for each talk (`templates/sandbox.py`).

    Attributes:
        source: Jinja, as the model came with it.
        tool_source: another for talks with tools; empty: the same.
        begin: what the tokenizer itself puts before every text, which the template need not say again.
        bos, eos: texts of the tokens that begin and end a text.
        ask: what stands behind a talk to ask the assistant to go on.
        end: what stands behind an answer; both empty where it is not always the same.
        tools: whether it tells of tools.
        hears_system: whether a system may speak.
    """

    source: str
    tool_source: str = ""
    begin: str = ""
    bos: str = ""
    eos: str = ""
    ask: str = ""
    end: str = ""
    tools: ToldTools = ""
    hears_system: bool = True

    def to_json(self) -> JsonObject:
        """The stored form."""
        texts: JsonObject = {name: text for name in _TEXTS if (text := getattr(self, name))}
        return {"template": self.source, **texts, "hears_system": self.hears_system}

    @classmethod
    def from_json(cls, value: JsonObject) -> ChatTemplate:
        """What `to_json` wrote. Raises InvalidInput (`invalid_model_spec`)."""
        _check(value.keys() <= {"template", "hears_system", *_TEXTS}, "unknown fields beside template")
        texts = {name: value.get(name, "") for name in ("template", *_TEXTS)}
        _check(all(isinstance(text, str) for text in texts.values()), "no text")
        source, *marks = (str(text) for text in texts.values())
        sizes = [len(text.encode(errors="replace")) for text in (source, marks[0])]
        _check(max(sizes) <= MAX_TEMPLATE_BYTES, f"template > {MAX_TEMPLATE_BYTES:,} bytes")
        _check(all(len(mark) <= MAX_MARK for mark in marks[1:]), "marks are not short")
        _check(texts["tools"] in get_args(ToldTools), "tools are of no form that is known")
        hears = value.get("hears_system", True)
        _check(isinstance(hears, bool), "hears_system is neither true nor false")
        tool_source, begin, bos, eos, ask, end, tools = marks
        return cls(source, tool_source, begin, bos, eos, ask, end, cast("ToldTools", tools), bool(hears))


_TEXTS = ("tool_source", "begin", "bos", "eos", "ask", "end", "tools")
Form = ChatForm | ChatTemplate


def form_from_json(value: JsonValue) -> Form:
    """What `to_json` of either wrote. Raises InvalidInput (`invalid_model_spec`)."""
    if isinstance(value, dict) and "template" in value:
        return ChatTemplate.from_json(value)
    return ChatForm.from_json(value)


CHATML = ChatForm(marks={role: (f"<|im_start|>{role}\n", "<|im_end|>\n") for role in ROLES})
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")


def plain_form(end: str) -> ChatForm:
    """Talks in words alone, for a tokenizer without marks of its own: `end`, the token that ends a text, ends an answer."""
    return ChatForm(marks={"system": ("", "\n\n"), "user": ("User: ", "\n"), "assistant": ("Assistant: ", f"{end}\n")})


def _pair(value: JsonValue) -> tuple[str, str]:
    is_right = isinstance(value, list) and len(value) == 2 and all(isinstance(mark, str) and len(mark) <= MAX_MARK for mark in value)
    _check(is_right, "marks are not two short strings")
    before, behind = cast("list[str]", value)
    return before, behind


def _check(is_right: bool, problem: str) -> None:
    if not is_right:
        raise InvalidInput("invalid_model_spec", field="chat", problem=problem)
