"""What every task declares of its parameters is what its `check` takes."""

from __future__ import annotations

import pytest

from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, Limits
from hanlin.tasks.base import Parameter, Task, TaskRequest
from hanlin.tasks.parameters import describe

BEFORE = {"retriever", "reranker", "candidates"}  # of question answering: the gateway has searched before a worker sees the call
DECLARED = [(name, item) for name in TASKS.names() for item in TASKS.get(name).parameters if item.name not in BEFORE]
IDS = [f"{name}-{item.name}" for name, item in DECLARED]


def check(task: Task, parameters: dict, about: str = "") -> TaskRequest:
    inputs = task.example["request"]["inputs"]
    if task.name == "question-answering" and about == "passages":  # means something where documents are searched
        inputs = {"question": inputs["question"], "documents": [{"id": "one", "text": inputs["context"]}]}
    if "tool" in about:  # of a talk that has some
        inputs = {"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": {"name": "look"}}]}
    return task.check(inputs, parameters, limits=Limits())


@pytest.mark.parametrize(("name", "item"), DECLARED, ids=IDS)
def test_example_and_default_are_taken(name: str, item: Parameter) -> None:
    task = TASKS.get(name)
    plain, shown = check(task, {}, item.name), check(task, {item.name: item.schema["example"]}, item.name)
    assert shown.options != plain.options, "an example changes something"
    assert check(task, {item.name: item.schema["default"]}, item.name) == plain
    assert len(str(item.schema["description"])) > 10


@pytest.mark.parametrize(("name", "item"), DECLARED, ids=IDS)
def test_what_the_schema_does_not_allow_is_refused(name: str, item: Parameter) -> None:
    schema = item.schema
    wrong: list = [[] if schema["type"] == "object" else {"a": 1}, "x" if schema["type"] == "number" else 1.5]
    if "minimum" in schema:
        wrong += [schema["minimum"] - 1, schema["maximum"] + 1, "1", True]
        assert check(TASKS.get(name), {item.name: schema["maximum"]}, item.name)
    if "enum" in schema:
        wrong += [f"{schema['enum'][0]}x"]
        assert all(check(TASKS.get(name), {item.name: value}, item.name) for value in schema["enum"])
    if schema["type"] == "array":
        wrong += [[1], ["a"] * (schema["maxItems"] + 1)]
    for value in wrong:
        with pytest.raises(InvalidInput) as caught:
            check(TASKS.get(name), {item.name: value}, item.name)
        assert (caught.value.code, caught.value.params["name"]) == ("invalid_parameter", item.name)


def test_what_names_another_endpoint_has_been_done_before_a_worker_is_asked() -> None:
    task = TASKS.get("question-answering")
    items = {item.name: item for item in task.parameters if item.name in BEFORE}
    assert items.keys() == BEFORE
    for name, item in items.items():
        example = item.schema["example"]
        assert item.read({name: example}) == example
        for wrong in ({"a": 1}, 1.5, True):
            with pytest.raises(InvalidInput):
                item.read({name: wrong})
        with pytest.raises(InvalidInput) as caught:
            check(task, {name: example}, "passages")
        assert (caught.value.code, caught.value.params["name"]) == ("invalid_parameter", name)


@pytest.mark.parametrize("name", TASKS.names())
def test_nothing_is_taken_that_is_not_declared(name: str) -> None:
    task = TASKS.get(name)
    with pytest.raises(InvalidInput) as caught:
        check(task, {"none_such": 1})
    assert caught.value.params["choices"] == ", ".join(item.name for item in task.parameters)
    assert list(describe(task.parameters)["properties"]) == [item.name for item in task.parameters]
    assert set(task.example["request"].get("parameters", {})) <= {item.name for item in task.parameters}
