"""The API's description is true: each door has its operation, each example runs, each answer has the shape that is told."""

from __future__ import annotations

import pytest
from jsonschema_rs import Draft202012Validator
from tests.gateway.ways import ALL_ENDPOINTS as ENDPOINTS

from hanlin.gateway.door import Door
from hanlin.gateway.doors import ALL
from hanlin.gateway.openapi import describe
from hanlin.gateway.operation import Operation
from hanlin.types import JsonObject

SCHEMA = describe({"openapi": "3.1.0", "info": {"title": "Hanlin", "version": "1"}, "paths": {}})


def made(told: object) -> Operation:
    found = told() if callable(told) else told
    assert isinstance(found, Operation)
    return found


def validator(schema: JsonObject) -> Draft202012Validator:
    """Of a schema that may name others of the description."""
    return Draft202012Validator({**schema, "components": SCHEMA["components"]})


OPERATIONS = {
    f"{method} {door.path}": (door, made(told)) for door in ALL for method, told in (("GET", door.get), ("POST", door.post)) if told
}
EXAMPLES = [
    pytest.param(door, operation, example, id=f"{door.path}: {example}")
    for door, operation in OPERATIONS.values()
    for example in operation.examples
]


@pytest.mark.parametrize("door", ALL, ids=lambda door: door.path)
def test_every_door_says_what_it_is(door: Door) -> None:
    """A new door: put an `Operation` beside it, `post=` for its `read` and `get=` for its `show`."""
    assert (door.post is not None) == door.has_post, f"{door.path}: `post` is due where there is `read` or the like"
    assert (door.get is not None) == door.has_get, f"{door.path}: `get` is due where there is `show` or `tell`"
    if door.post is not None and door.act is None:
        assert made(door.post).examples, f"{door.path}: an example that can be sent"


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for methods in SCHEMA["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names) >= len(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_shown_has_the_shape_that_is_told(name: str) -> None:
    _, operation = OPERATIONS[name]
    if operation.shown is not None:
        validator(operation.answer).validate(operation.shown)
    for example in operation.examples.values():
        validator(operation.body).validate(example)


@pytest.mark.parametrize(("door", "operation", "example"), EXAMPLES)
def test_every_example_runs_and_is_answered_as_told(doors, door: Door, operation: Operation, example: str) -> None:
    endpoint = ENDPOINTS[example.partition(",")[0]]
    body = dict(operation.examples[example])
    if "model" in body:
        body["model"] = endpoint
    answer = doors.client.post(door.path.replace("{endpoint}", endpoint), json=body)
    assert answer.status_code == 200, answer.text
    validator(operation.answer).validate(answer.json())


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name.startswith("GET")])
@pytest.mark.parametrize("endpoint", ENDPOINTS.values())
def test_every_look_is_answered_as_told(doors, name: str, endpoint: str) -> None:
    door, operation = OPERATIONS[name]
    answer = doors.client.get(door.path.replace("{endpoint}", endpoint))
    assert answer.status_code == 200, answer.text
    if operation.answer is None:
        assert not answer.content
    else:
        validator(operation.answer).validate(answer.json())


@pytest.mark.parametrize(("task", "endpoint"), ENDPOINTS.items())
def test_an_endpoint_tells_the_schema_of_its_calls(doors, task: str, endpoint: str) -> None:
    told = doors.client.get(f"/models/{endpoint}").json()
    schema, example = told["schema"], told["example"]
    assert told["task"] == task
    assert schema["parameters"] == SCHEMA["components"]["schemas"][f"{task}.parameters"]
    validator(schema["inputs"]).validate(example["request"]["inputs"])
    validator(schema["parameters"]).validate(example["request"].get("parameters", {}))
    validator(schema["output"]).validate(example["response"])
    answer = doors.client.post(f"/models/{endpoint}", json=example["request"])
    assert answer.status_code == 200, answer.text
    validator(schema["output"]).validate(answer.json())


@pytest.mark.parametrize("inputs", [5, "", [], {"query": "a"}, {"query": "a", "texts": []}])
@pytest.mark.parametrize("endpoint", ENDPOINTS.values())
def test_what_the_schema_excludes_is_refused(doors, endpoint: str, inputs: object) -> None:
    schema = doors.client.get(f"/models/{endpoint}").json()["schema"]["inputs"]
    assert not validator(schema).is_valid(inputs)
    assert doors.post(inputs, endpoint).status_code == 422


def test_ids_that_are_shown_could_be_sent_in_a_header() -> None:
    """schemathesis tries them there."""
    for _, operation in OPERATIONS.values():
        if isinstance(operation.shown, dict):
            assert str(operation.shown.get("id", "")).isascii(), operation.name


@pytest.mark.parametrize("door", [door for door in ALL if door.is_named], ids=lambda door: door.path)
def test_an_address_that_is_none_is_refused_in_the_words_of_its_protocol(doors, door: Door) -> None:
    told = door.post or door.get
    assert told is not None
    schema = SCHEMA["components"]["schemas"][made(told).error]
    answer = doors.client.request("POST" if door.post else "GET", door.path.replace("{endpoint}", "%C3%A4"), json={})
    assert answer.status_code == 404
    validator(schema).validate(answer.json())
