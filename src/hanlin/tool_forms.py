"""The forms in which models write calls of tools, as data, and how calls are read in them. Knows no model and no door.

Source: the templates and model cards of Hermes and Qwen2.5; of Llama 3.1 and 3.2; of Mistral 7B v0.3 to Small 3.1, and of Small 3.2 on;
of Qwen3-Coder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from hanlin.types import JsonObject, JsonValue, json_type

Shape = Literal["object", "list", "named", "tagged"]


class Call(NamedTuple):
    """Arguments as JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class CallForm:
    """How calls are written.

    Attributes:
        mark: begins calls, wherever it stands.
        shape: an object each, a list of objects, a name before its arguments, or a tag around each argument.
        key: of an object's arguments.
        begin, end: around each call, where calls are made certain.
        head, tail: around all of them; between: of two.
        opening: begins a call without a mark, where an answer begins.
        names: marks that may be special tokens of a tokenizer.
    """

    mark: str
    shape: Shape
    key: str = "arguments"
    begin: str = ""
    end: str = ""
    head: str = ""
    tail: str = ""
    between: str = ""
    opening: str = ""
    names: tuple[str, ...] = ()


HERMES = "hermes"
FORMS: Mapping[str, CallForm] = {
    HERMES: CallForm(
        "<tool_call>", "object", begin="<tool_call>\n", end="\n</tool_call>", between="\n", names=("<tool_call>", "</tool_call>")
    ),
    "llama": CallForm("<|python_tag|>", "object", key="parameters", between="; ", opening="{", names=("<|python_tag|>",)),
    "mistral": CallForm("[TOOL_CALLS]", "list", head="[TOOL_CALLS] [", tail="]", between=", ", names=("[TOOL_CALLS]",)),
    "qwen-coder": CallForm("<tool_call>", "tagged", end="</tool_call>", names=("<tool_call>", "</tool_call>")),
    "mistral-named": CallForm("[TOOL_CALLS]", "named", begin="[TOOL_CALLS]", names=("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]")),
}
_decode = json.JSONDecoder().raw_decode
_WORD = r"[^\s\[\]{}]{1,256}"
_NAME = re.compile(rf"({_WORD})(?:\[CALL_ID\]{_WORD})?(?:\[ARGS\])?")
_FUNCTION = re.compile(r"<function=([^>\n]{1,256})>\s*")
_PARAMETER = re.compile(r"<parameter=([^>\n]{1,256})>\n?(.*?)\n?</parameter>\s*(?=<parameter=|</function>)", re.DOTALL)
_FUNCTION_END = "</function>"
_PYTHON = {"True": "true", "False": "false", "None": "null"}
_BESIDE = {"name", "id", "type"}  # of a call without arguments
Read = tuple[list[Call], int]  # calls that stand at a place, and where they end


def begins(text: str, form: CallForm) -> int:
    """Where calls may begin; -1: nowhere."""
    start = _behind_space(text, 0)
    return start if form.opening and text.startswith(form.opening, start) else text.find(form.mark)


def calls_at(text: str, start: int, form: CallForm, tools: Sequence[JsonValue] = ()) -> Read:
    """Calls from `start` on to where there is no further one. Raises ValueError, RecursionError where one cannot be read.

    Args:
        tools: as they were told of; a form without JSON has their schemas say which arguments are words.
    """
    calls: list[Call] = []
    at = start
    while (body := _begun(text, at, form, is_first=at == start)) >= 0:
        found, at = _READERS[form.shape](text, body, form, tools)
        calls += found
        at = _behind_space(text, at)
        if (end := form.end.strip()) and at < len(text):
            if not text.startswith(end, at):
                raise ValueError("no end of a call")
            at = _behind_space(text, at + len(end))
    is_over = bool(calls) and form.shape == "object" and text[at:].strip() == form.between.strip()  # a further one was not written
    return calls, len(text) if is_over else at


def _begun(text: str, at: int, form: CallForm, *, is_first: bool) -> int:
    """The place behind what begins a call at `at`; -1: nothing does."""
    if text.startswith(form.mark, at):
        return _behind_space(text, at + len(form.mark))
    if not form.opening:
        return -1
    at = _behind_space(text, at + 1) if not is_first and text.startswith(";", at) else at
    if text.startswith(form.mark, at):
        return _behind_space(text, at + len(form.mark))
    return at if text.startswith(form.opening, at) else -1


def _object(text: str, at: int, form: CallForm, _: Sequence[JsonValue]) -> Read:
    value, end = _decode(text, at)
    return [_called(value, form)], end


def _list(text: str, at: int, form: CallForm, _: Sequence[JsonValue]) -> Read:
    value, end = _decode(text, at)
    if not isinstance(value, list) or not value:
        raise ValueError("no list of calls")
    return [_called(each, form) for each in value], end


def _named(text: str, at: int, form: CallForm, _: Sequence[JsonValue]) -> Read:
    found = _NAME.match(text, at)
    if found is None:
        raise ValueError("no name")
    value, end = _decode(text, _behind_space(text, found.end()))
    return [_called({"name": found[1], form.key: value}, form)], end


def _tagged(text: str, at: int, form: CallForm, tools: Sequence[JsonValue]) -> Read:
    found = _FUNCTION.match(text, at)
    if found is None:
        raise ValueError("no name")
    name, schemas = found[1], _schemas(found[1], tools)
    arguments: JsonObject = {}
    at = found.end()
    while (found := _PARAMETER.match(text, at)) is not None:
        arguments[found[1]] = _value(found[2], schemas.get(found[1]))
        at = found.end()
    if not text.startswith(_FUNCTION_END, at):
        raise ValueError("no end of a function")
    return [_called({"name": name, form.key: arguments}, form)], at + len(_FUNCTION_END)


def _schemas(name: str, tools: Sequence[JsonValue]) -> JsonObject:
    """Of the arguments of a tool."""
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and function.get("name") == name:
            parameters = function.get("parameters")
            found = parameters.get("properties") if isinstance(parameters, dict) else None
            return found if isinstance(found, dict) else {}
    return {}


def _value(text: str, schema: JsonValue) -> JsonValue:
    """JSON, or what Python calls its words; all else, and what is to be words, is words."""
    kinds = _kinds(schema)
    if kinds == {"string"}:
        return text
    try:
        value = cast("JsonValue", json.loads(_PYTHON.get(text.strip(), text), parse_constant=_no_number))
    except (ValueError, RecursionError):
        return text
    return text if "string" in kinds and _kind(value) not in kinds else value


def _kinds(schema: JsonValue) -> set[str]:
    """What a value may be, whole numbers as numbers; empty: anything, or what only deeper words of the schema say."""
    if not isinstance(schema, dict):
        return set()
    if isinstance(values := [schema["const"]] if "const" in schema else schema.get("enum"), list):
        return {_kind(value) for value in values}
    if told := schema.get("type"):
        return {"number" if kind == "integer" else str(kind) for kind in (told if isinstance(told, list) else [told])}
    branches = schema.get("anyOf") or schema.get("oneOf")
    found = [_kinds(branch) for branch in branches] if isinstance(branches, list) else []
    return set().union(*found) if all(found) else set()


def _kind(value: JsonValue) -> str:
    """Of a value, in a schema's words."""
    return {"a list": "array"}.get(kind := json_type(value), kind.rpartition(" ")[2])


def _no_number(name: str) -> JsonValue:
    raise ValueError(name)


_READERS: Mapping[Shape, Callable[[str, int, CallForm, Sequence[JsonValue]], Read]] = {
    "object": _object, "list": _list, "named": _named, "tagged": _tagged,
}  # fmt: skip


def _called(value: JsonValue, form: CallForm) -> Call:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ValueError("no name")
    if form.key not in value and (form.opening or value.keys() - _BESIDE):
        raise ValueError("an object that is no call, or has its arguments elsewhere")
    arguments = value.get(form.key, {})
    if not isinstance(arguments, dict):
        raise ValueError("no arguments")
    text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    f"{value['name']}{text}".encode()  # halves of characters can be spelled, not sent
    return Call(cast("str", value["name"]), text)


def can_force(form: CallForm) -> bool:
    """Whether there is a grammar of its calls."""
    return form.shape != "tagged"


def can_name(form: CallForm, name: str) -> bool:
    """Whether a call of a tool of this name can be read again."""
    return form.shape != "named" or re.fullmatch(_WORD, name) is not None


def forced(form: CallForm, tools: list[JsonValue], *, most: int, tokens: Mapping[str, int]) -> JsonObject:
    """What `engines/call_forms.py` makes a grammar of.

    Args:
        most: calls at most; 0: any number.
        tokens: marks that are single tokens of the model's.
    """
    return {
        "shape": form.shape, "key": form.key, "head": form.head, "tail": form.tail, "before": form.begin, "behind": form.end,
        "between": form.between, "most": most, "tools": tools, "tokens": {**tokens}, "divider": "[ARGS]" if form.shape == "named" else "",
    }  # fmt: skip


def _behind_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
