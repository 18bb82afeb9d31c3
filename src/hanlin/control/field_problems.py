"""What pydantic found wrong with a field of a request, as an error of ours: missing, unknown, of the wrong type, or out of bounds.

Never repeats the value that was sent. Knows no route and no kind of job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from hanlin.errors import InvalidInput
from hanlin.types import nearest, shorten

_PLACES = ("body", "query", "path", "header")  # FastAPI names the part of the request first
# What each of pydantic's findings asks for, in words that `messages.problems` knows in Chinese.
_TYPES = {
    "int_type": "a whole number", "int_parsing": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "float_parsing": "a number", "bool_type": "true or false", "bool_parsing": "true or false", "string_type": "a string",
    "list_type": "a list", "dict_type": "an object", "model_type": "an object", "model_attributes_type": "an object",
}  # fmt: skip


def field_error(
    found: Sequence[Mapping[str, Any]], model: type[BaseModel] | None, *, otherwise: str, has_place: bool = False
) -> InvalidInput:  # fmt: skip
    """The first of pydantic's findings (`errors()`) in words of the catalogue.

    Args:
        model: what was expected, for the names there are; None when it is not known.
        otherwise: the code of a value out of its bounds, which has the parameters `name` and `problem`.
        has_place: whether the findings come from FastAPI; elsewhere the name of a part of the request may be that of a field.
    """
    first, word = _telling(found)
    parts = [*first["loc"]]
    if word:
        del parts[-1]  # pydantic's name of one of several forms
    if has_place and parts and parts[0] in _PLACES:
        del parts[0]
    name = shorten(".".join(str(part)[:40] for part in parts) or "body", 80)
    kind = str(first["type"])
    if word:
        return InvalidInput(otherwise, name=name, problem=f"{first['msg']}, or {word}"[:200])
    if kind == "missing":
        return InvalidInput("missing_field", name=name)
    if expected := _TYPES.get(kind):
        return InvalidInput("wrong_field_type", name=name, expected=expected)
    names = sorted(_inside(model, parts[:-1]).model_fields) if model and kind == "extra_forbidden" else []
    if names:
        near = nearest(str(parts[-1]), names)
        return InvalidInput("unknown_field", name=name, near=near, choices=", ".join(names))
    return InvalidInput(otherwise, name=name, problem=str(first["msg"])[:200])


def _telling(found: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], str]:
    """The first finding. Where a value may be a word or a number, that about the number, and the word; else no word."""
    first, place = found[0], found[0]["loc"][:-1]
    if first["type"] != "literal_error" or not str(first["loc"][-1]).startswith("literal["):
        return first, ""
    other = next((each for each in found[1:] if each["loc"][:-1] == place), None)
    return (first, "") if other is None else (other, str(first["ctx"]["expected"]))


def _inside(model: type[BaseModel], parts: Sequence[object]) -> type[BaseModel]:
    """The model that holds the field below `parts`, such as that of one file in a list of them."""
    for part in parts:
        if isinstance(part, str) and part in model.model_fields:
            model = next(_models(model.model_fields[part].annotation), model)
    return model


def _models(annotation: object) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
