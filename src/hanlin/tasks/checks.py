"""Checks of wire requests that tasks share: strict types, bounds, sizes and valid Unicode. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard, TypeVar, cast, get_args

from hanlin.errors import InvalidInput
from hanlin.tasks.base import Limits
from hanlin.tasks.text import is_blank
from hanlin.tasks.token_ids import Item, read_token_ids
from hanlin.types import TOKEN_IDS, JsonObject, JsonValue, LongText, json_found, json_type, shorten

Choice = TypeVar("Choice", bound=str)


def check_texts(inputs: JsonValue, limits: Limits) -> tuple[tuple[str, ...], bool]:
    """The texts of `inputs` (a string or a list of strings) and whether it was a single string.

    Raises:
        InvalidInput: `invalid_inputs`, `empty_batch`, `batch_too_large`, or what `check_text` raises, with the item's index.
    """
    if isinstance(inputs, str):
        return (check_text(inputs, 0, limits),), True
    if not isinstance(inputs, list):
        raise InvalidInput("invalid_inputs", found=json_type(inputs))
    if not inputs:
        raise InvalidInput("empty_batch")
    if len(inputs) > limits.max_items:
        raise InvalidInput("batch_too_large", items=len(inputs), limit=limits.max_items)
    return tuple(check_text(item, index, limits) for index, item in enumerate(inputs)), False


def check_items(inputs: JsonValue, limits: Limits) -> tuple[tuple[Item, ...], bool]:
    """Like `check_texts`, where an item may also be `{"token_ids": [...]}`.

    Raises:
        InvalidInput: as `check_texts`; `invalid_token_ids`.
    """
    if isinstance(inputs, list) and len(inputs) <= limits.max_items and any(type(item) is dict for item in inputs):
        return tuple(_check_item(item, index, limits) for index, item in enumerate(inputs)), False
    return ((read_token_ids(inputs, 0),), True) if _has_ids(inputs) else check_texts(inputs, limits)


def _check_item(item: JsonValue, index: int, limits: Limits) -> Item:
    return read_token_ids(item, index) if _has_ids(item) else check_text(item, index, limits)


def _has_ids(item: JsonValue) -> TypeGuard[JsonObject]:
    return isinstance(item, dict) and item.keys() == {TOKEN_IDS}


def check_text(item: JsonValue, index: int, limits: Limits) -> str:
    """The text itself. Raises InvalidInput (`invalid_inputs`, `text_too_long`, `invalid_unicode`, `empty_text`)."""
    if not isinstance(item, str):
        raise InvalidInput("invalid_inputs", found=json_type(item), index=index)
    if len(item) > limits.max_text_bytes:  # a character is a byte or more: the cheap check first
        raise InvalidInput("text_too_long", index=index, length=len(item), unit="bytes", limit=limits.max_text_bytes)
    try:
        size = len(item.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise InvalidInput("invalid_unicode", index=index, position=error.start) from None
    if size > limits.max_text_bytes:
        raise InvalidInput("text_too_long", index=index, length=size, unit="bytes", limit=limits.max_text_bytes)
    if is_blank(item):
        raise InvalidInput("empty_text", index=index)
    return item


def check_parameters(parameters: JsonObject, *, allowed: Sequence[str]) -> None:
    """Raises InvalidInput (`unknown_parameter`) for a name that is not `allowed`."""
    if not isinstance(parameters, dict):
        raise InvalidInput("invalid_parameter", name="parameters", expected="an object", found=json_type(parameters))
    for name in parameters:
        if name not in allowed:
            raise InvalidInput("unknown_parameter", name=shorten(name), choices=", ".join(allowed))


def read_bool(parameters: JsonObject, name: str, *, default: bool) -> bool:
    """A boolean parameter; missing or null means `default`. Raises InvalidInput (`invalid_parameter`)."""
    value = parameters.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InvalidInput("invalid_parameter", name=name, expected="true or false", found=json_type(value))
    return value


def read_integer(parameters: JsonObject, name: str, *, low: int, high: int) -> int | None:
    """An integer parameter in `low..high`; missing or null means None. Raises InvalidInput (`invalid_parameter`)."""
    value = parameters.get(name)
    if value is None:
        return None
    expected = f"an integer from {low} to {high}"
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput("invalid_parameter", name=name, expected=expected, found=json_type(value))
    if not low <= value <= high:
        raise InvalidInput("invalid_parameter", name=name, expected=expected, found="one out of range")
    return value


def read_number(parameters: JsonObject, name: str, *, low: float, high: float) -> float | None:
    """A number in `low..high`; missing or null means None. Raises InvalidInput (`invalid_parameter`)."""
    value = parameters.get(name)
    if value is None:
        return None
    expected = f"a number from {low:g} to {high:g}"
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidInput("invalid_parameter", name=name, expected=expected, found=json_type(value))
    if not low <= value <= high:  # also false for NaN
        raise InvalidInput("invalid_parameter", name=name, expected=expected, found="one out of range")
    return float(value)


def read_choice(parameters: JsonObject, name: str, *, choices: Sequence[Choice], default: Choice) -> Choice:
    """A parameter out of a closed set; missing or null means `default`. Raises InvalidInput (`invalid_parameter`)."""
    value = parameters.get(name)
    if value is None:
        return default
    if value not in choices:
        found = shorten(value) if isinstance(value, str) else json_type(value)
        raise InvalidInput("invalid_parameter", name=name, expected="one of " + ", ".join(choices), found=found)
    return cast("Choice", value)


def read_long_text(parameters: JsonObject) -> LongText | None:
    """What a call wants done with texts that are too long: `long_text`, or `truncation` (or `truncate`)
    as Hugging Face has it; None when it says nothing.

    Raises:
        InvalidInput: `invalid_parameter`, also for both at once.
    """
    said = "truncate" if parameters.get("truncation") is None else "truncation"
    if parameters.get(said) is None:
        name = parameters.get("long_text")
        return None if name is None else read_choice(parameters, "long_text", choices=get_args(LongText), default="refuse")
    if parameters.get("long_text") is not None:
        raise InvalidInput("invalid_parameter", name="long_text", expected=f"one of long_text and {said}", found="both of them")
    return "truncate" if read_bool(parameters, said, default=False) else "refuse"


def read_name(parameters: JsonObject, name: str) -> str | None:
    """A short string parameter; missing or null means None. Raises InvalidInput (`invalid_parameter`)."""
    value = parameters.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= 100:
        found = "one that is empty or too long" if isinstance(value, str) else json_type(value)
        raise InvalidInput("invalid_parameter", name=name, expected="a string of 1 to 100 characters", found=found)
    return value


def read_names(parameters: JsonObject, name: str, *, default: Sequence[str], limit: int) -> Sequence[str]:
    """A list of strings; missing or null means `default`. Raises InvalidInput (`invalid_parameter`)."""
    value = parameters.get(name)
    if value is None:
        return default
    if not isinstance(value, list):
        raise InvalidInput("invalid_parameter", name=name, expected="a list of strings", found=json_type(value))
    if len(value) > limit:
        raise InvalidInput("invalid_parameter", name=name, expected=f"a list of at most {limit} strings", found=f"{len(value)} of them")
    for item in value:
        if not isinstance(item, str):
            raise InvalidInput("invalid_parameter", name=name, expected="a list of strings", found=f"a list with {json_found(item)}")
    return cast("list[str]", value)
