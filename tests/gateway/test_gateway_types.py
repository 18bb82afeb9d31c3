"""C028: a value of another type than a field has is refused, for every field of every call that the API's description knows."""

from __future__ import annotations

import pytest
from jsonschema_rs import Draft202012Validator
from tests.gateway.test_gateway_openapi import OPERATIONS, SCHEMA
from tests.gateway.ways import ALL_ENDPOINTS

from hanlin.types import JsonObject, JsonValue

OTHERS: tuple[JsonValue, ...] = ("1", "", 1, 1.0, -1, 0.5, True, False, None, [], [None], {}, {"a": 1})


def has_field(schema: JsonObject) -> dict[str, JsonObject]:
    """The fields of an object, or of the objects that a body may be."""
    found = dict(schema.get("properties", {}))
    for option in schema.get("anyOf", ()):
        for name, one in has_field(option).items():
            found[name] = {"anyOf": [found[name], one]} if name in found else one
    return found


def is_wrong(schema: JsonObject, value: JsonValue) -> bool:
    """By the schema, where `1.0` is no whole number and a boolean no number."""
    if isinstance(value, float) and value == int(value) and "integer" in str(schema) and "number" not in str(schema):
        return True
    return not Draft202012Validator({**schema, "components": SCHEMA["components"]}).is_valid(value)


CALLS = {name: found for name, found in OPERATIONS.items() if name.startswith("POST") and found[0].act is None}


def verdicts(doors, path: str, bodies: dict[str, JsonObject]) -> dict[str, int]:
    """Of those that are not refused as they should be."""
    told = {name: doors.client.post(path, json=body) for name, body in bodies.items()}
    assert all(len(answer.content) <= 4096 for answer in told.values() if answer.status_code != 200)
    return {name: answer.status_code for name, answer in told.items() if answer.status_code != 422}


@pytest.mark.parametrize("name", CALLS)
def test_a_field_of_another_type_is_refused(doors, name: str) -> None:
    door, operation = CALLS[name]
    example, body = next(iter(operation.examples.items()))
    endpoint = ALL_ENDPOINTS[example.partition(",")[0]]
    good = {**body, **({"model": endpoint} if "model" in body else {})}
    fields = {field: schema for field, schema in has_field(operation.body).items() if field != "parameters"}
    wrong = {
        f"{field} = {value!r}": {**good, field: value} for field, schema in fields.items() for value in OTHERS if is_wrong(schema, value)
    }
    assert len(wrong) >= len(fields) > 0
    assert verdicts(doors, door.path.replace("{endpoint}", endpoint), wrong) == {}


@pytest.mark.parametrize("task", ALL_ENDPOINTS)
def test_a_parameter_of_another_type_is_refused(doors, task: str) -> None:
    endpoint = ALL_ENDPOINTS[task]
    request = doors.client.get(f"/models/{endpoint}").json()["example"]["request"]
    parameters = SCHEMA["components"]["schemas"][f"{task}.parameters"]["properties"]
    parameters = {name: schema for name, schema in parameters.items() if name != "candidate_labels"}  # which may be one string, too
    wrong = {
        f"{name} = {value!r}": {**request, "parameters": {name: value}}
        for name, schema in parameters.items()
        for value in OTHERS
        if value is not None and is_wrong(schema, value)
    }
    wrong |= {f"all = {value!r}": {**request, "parameters": value} for value in OTHERS if value not in ({}, None, {"a": 1})}
    assert len(wrong) >= len(parameters) > 0
    assert verdicts(doors, f"/models/{endpoint}", wrong) == {}
