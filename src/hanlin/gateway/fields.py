"""Single fields of a body that a door reads itself, strictly: what is not of its type is refused by name, never guessed.

`tasks/checks.py` reads parameters by the same rules; it cannot be used here, for the tasks load numpy, and a gateway does without.
"""

from __future__ import annotations

from collections.abc import Sequence

from hanlin.errors import InvalidInput, NotFound
from hanlin.types import JsonObject, JsonValue, json_type, shorten

MOST = 2**31


def text(value: JsonObject, name: str) -> str:
    """A string. Raises InvalidInput (`invalid_parameter`)."""
    found = value.get(name)
    if not isinstance(found, str):
        raise InvalidInput("invalid_parameter", name=name, expected="a string", found=json_type(found))
    return found


def endpoint_of(value: JsonObject) -> str:
    """The endpoint that `model` names. Raises InvalidInput (`invalid_parameter`); NotFound where it names none: no default is meant."""
    if not (name := text(value, "model")):
        raise NotFound("endpoint_not_found")
    return name


def flag(value: JsonObject, name: str, *, default: bool) -> bool:
    """A boolean; missing or null means `default`. Raises InvalidInput (`invalid_parameter`)."""
    found = value.get(name)
    if found is None:
        return default
    if not isinstance(found, bool):
        raise InvalidInput("invalid_parameter", name=name, expected="true or false", found=json_type(found))
    return found


def count(value: JsonObject, name: str) -> int | None:
    """A whole number from 1; missing or null means None. Raises InvalidInput (`invalid_parameter`)."""
    return integer(value, name, low=1, high=MOST)


def integer(value: JsonObject, name: str, *, low: int, high: int) -> int | None:
    """A whole number in `low..high`; missing or null means None. Raises InvalidInput (`invalid_parameter`)."""
    found = value.get(name)
    if found is None:
        return None
    expected = f"an integer from {low} to {high}"
    if not isinstance(found, int) or isinstance(found, bool):
        raise InvalidInput("invalid_parameter", name=name, expected=expected, found=json_type(found))
    if not low <= found <= high:
        raise InvalidInput("invalid_parameter", name=name, expected=expected, found="one out of range")
    return found


def number(value: JsonObject, name: str, *, low: float, high: float) -> float | None:
    """A number in `low..high`; missing or null means None. Raises InvalidInput (`invalid_parameter`)."""
    found = value.get(name)
    if found is None:
        return None
    expected = f"a number from {low:g} to {high:g}"
    if not isinstance(found, int | float) or isinstance(found, bool):
        raise InvalidInput("invalid_parameter", name=name, expected=expected, found=json_type(found))
    if not low <= found <= high:
        raise InvalidInput("invalid_parameter", name=name, expected=expected, found="one out of range")
    return float(found)


def choice(value: JsonObject, name: str, choices: Sequence[str]) -> str:
    """One of `choices`; missing or null means the first. Raises InvalidInput (`invalid_parameter`)."""
    found = value.get(name)
    if found is None:
        return choices[0]
    if found not in choices:
        shown = shorten(found) if isinstance(found, str) else json_type(found)
        raise InvalidInput("invalid_parameter", name=name, expected="one of " + ", ".join(choices), found=shown)
    return str(found)


def untaken(value: JsonObject, names: Sequence[str]) -> None:
    """Fields of the protocol that a client may send, but only as null. Raises InvalidInput (`field_not_taken`)."""
    for name in names:
        if value.get(name) is not None:
            raise InvalidInput("field_not_taken", name=name)


def no_comparison(inputs: JsonValue) -> None:
    """For a protocol whose answers are vectors. Raises InvalidInput (`invalid_inputs`) where the task would compare sentences."""
    if isinstance(inputs, dict) and "sentences" in inputs:
        raise InvalidInput("invalid_inputs", found=json_type(inputs))


def truncation(value: JsonObject) -> JsonObject:
    """The parameter that `truncate` asks for; empty leaves long texts to the endpoint's policy. They are cut at their end only.

    Raises:
        InvalidInput: `invalid_parameter`.
    """
    choice(value, "truncation_direction", ("right", "Right"))
    return {} if value.get("truncate") is None else {"truncation": flag(value, "truncate", default=False)}
