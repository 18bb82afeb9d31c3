"""What a task lets a caller choose, declared once: each parameter reads itself from a request and describes itself as JSON schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from hanlin.tasks.base import Parameter, Task
from hanlin.tasks.checks import Choice, check_parameters, read_bool, read_choice, read_integer, read_name, read_names, read_number
from hanlin.types import JsonObject, JsonValue, LongText


def integer(name: str, about: str, *, low: int, high: int, example: int) -> Parameter[int | None]:
    """A whole number in `low..high`; None when it is not sent."""
    schema = _schema("integer", about, None, example) | {"minimum": low, "maximum": high}
    return Parameter(name, schema, lambda parameters: read_integer(parameters, name, low=low, high=high))


def number(name: str, about: str, *, low: float, high: float, example: float) -> Parameter[float | None]:
    """A number in `low..high`; None when it is not sent."""
    schema = _schema("number", about, None, example) | {"minimum": low, "maximum": high}
    return Parameter(name, schema, lambda parameters: read_number(parameters, name, low=low, high=high))


def boolean(name: str, about: str, *, default: bool = False) -> Parameter[bool]:
    """True or false."""
    return Parameter(name, _schema("boolean", about, default, not default), lambda parameters: read_bool(parameters, name, default=default))


def maybe(name: str, about: str) -> Parameter[bool | None]:
    """True, false, or None when it is not sent."""
    flag = boolean(name, about)
    schema = flag.schema | {"default": None}
    return Parameter(name, schema, lambda parameters: None if parameters.get(name) is None else flag.read(parameters))


def choice(name: str, about: str, *, choices: Sequence[Choice], default: Choice, example: Choice) -> Parameter[Choice]:
    """One of a closed set."""
    schema = _schema("string", about, default, example) | {"enum": list[JsonValue](choices)}
    return Parameter(name, schema, lambda parameters: read_choice(parameters, name, choices=choices, default=default))


def maybe_choice(name: str, about: str, *, choices: Sequence[Choice], example: Choice) -> Parameter[Choice | None]:
    """One of a closed set; None when it is not sent."""
    one = choice(name, about, choices=choices, default=choices[0], example=example)
    schema = one.schema | {"default": None}
    return Parameter(name, schema, lambda parameters: None if parameters.get(name) is None else one.read(parameters))


def word(name: str, about: str, *, example: str) -> Parameter[str | None]:
    """A short name; None when it is not sent."""
    schema = _schema("string", about, None, example) | {"minLength": 1, "maxLength": 100}
    return Parameter(name, schema, lambda parameters: read_name(parameters, name))


def words(name: str, about: str, *, default: Sequence[str], limit: int, example: Sequence[str]) -> Parameter[Sequence[str]]:
    """A list of strings."""
    schema = _schema("array", about, list(default), list(example)) | {"items": {"type": "string"}, "maxItems": limit}
    return Parameter(name, schema, lambda parameters: read_names(parameters, name, default=default, limit=limit))


def _schema(kind: str, about: str, default: JsonValue, example: JsonValue) -> JsonObject:
    return {"type": kind, "description": about, "default": default, "example": example}


# Three names for one thing: `checks.read_long_text` reads them together.
LONG_TEXT: tuple[Parameter[Any], ...] = (
    maybe("truncation", "true cuts a text longer than the model takes, false refuses it; left out, the endpoint decides"),
    maybe("truncate", "the same under the name that text-embeddings-inference has for it"),
    maybe_choice(
        "long_text", "what becomes of a text longer than the model takes: refused, cut, or read in overlapping windows; left out, the "
        "endpoint decides; not beside `truncation`", choices=get_args(LongText), example="window",
    ),
)  # fmt: skip


def check_names(parameters: JsonObject, declared: Sequence[Parameter[Any]]) -> None:
    """Raises InvalidInput (`unknown_parameter`) for what is not declared."""
    check_parameters(parameters, allowed=[item.name for item in declared])


def describe(declared: Sequence[Parameter[Any]]) -> JsonObject:
    """The JSON schema of the parameters of a call. A default must itself be of the type, so null stands for none and is left out."""
    shown: JsonObject = {
        item.name: {key: value for key, value in item.schema.items() if key != "default" or value is not None} for item in declared
    }
    return {"type": "object", "additionalProperties": False, "properties": shown}


def describe_call(task: Task) -> JsonObject:
    """JSON schemas of a call's `inputs` and `parameters` and of its `output`."""
    return {"inputs": task.shape.inputs, "parameters": describe(task.parameters), "output": task.shape.output}
