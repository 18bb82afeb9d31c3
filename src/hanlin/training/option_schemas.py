"""The options of a training as JSON schemas, for the API's description."""

from __future__ import annotations

from dataclasses import fields

from hanlin.training.config import TrainConfig, preset
from hanlin.training.option_rules import CHOICES, RANGES
from hanlin.types import JsonObject

_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", tuple: "array"}


def describe_options() -> dict[str, JsonObject]:
    """Every option of a training as a JSON schema by name; the defaults are those of `lstm`."""
    defaults = preset("lstm")
    found: dict[str, JsonObject] = {}
    for name in (field.name for field in fields(TrainConfig) if field.name not in {"model", "task", "text", "schema"}):
        value = getattr(defaults, name)
        schema: JsonObject = {"type": _JSON_TYPES[type(value)], "default": value}
        if name in RANGES:
            schema["minimum"], schema["maximum"] = map(type(value), RANGES[name])
        if name in CHOICES:
            schema["enum"] = [*CHOICES[name]]
        elif name == "metric":
            schema["description"] = "figure of the validation examples that says which weights are the best: loss, or one of the task's"
        found[name] = schema
    found["text"] = {"type": "object", "default": defaults.text.to_json(), "description": "what is done to texts first: docs/text.md"}
    found["schema"] = {"type": ["object", "null"], "default": None, "description": "of meanings: docs/semantic-parsing.md"}
    return found
