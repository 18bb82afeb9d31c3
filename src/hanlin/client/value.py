"""The base of the SDK's values, and the one that several of them hold."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, JsonValue

JsonObject = dict[str, JsonValue]


class Value(BaseModel):
    """Base of all answers: frozen, tolerant of new fields."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True, protected_namespaces=())


class Warned(Value):
    """Something that was done and may surprise; `message` is in the caller's language."""

    code: str
    params: JsonObject = Field(default_factory=dict)
    message: str = ""
