"""Calls of tools that a random network on the torch engine is made to write, at every door that knows tools."""

from __future__ import annotations

import json

import httpx
import pytest
from tests.gateway.muse import TEXTS, data_of, make_model
from tests.gateway.stacks import Stack

from hanlin.gateway.tool_calls import split, told_of

pytestmark = pytest.mark.e2e
PLACES = {"type": "object", "properties": {"at": {"$ref": "#/$defs/place"}}, "required": ["at"], "additionalProperties": False,
          "$defs": {"place": {"enum": ["here", "there"]}}}  # fmt: skip
OTHERS = ("llama", "mistral")
GO = {"name": "go", "description": "Goes.", "parameters": PLACES}
TOOLS = [{"type": "function", "function": GO}, {"type": "function", "function": {"name": "stay"}}]


def check_call(name: str, arguments: str | dict) -> None:
    """It is one of the tools', with arguments by its schema."""
    given = json.loads(arguments) if isinstance(arguments, str) else arguments
    assert (name, given) in [("stay", {}), ("go", {"at": "here"}), ("go", {"at": "there"})]


def test_a_call_that_is_asked_for_is_made_at_every_door(muse) -> None:
    """Of a network that writes rubbish where it is let, whole and streamed."""
    said = [{"role": "user", "content": TEXTS[1]}]
    for choice in ("required", {"type": "function", "function": {"name": "go"}}):
        chat = {"model": "muse", "messages": said, "tools": TOOLS, "tool_choice": choice, "max_tokens": 200, "parallel_tool_calls": False}
        whole = muse.post("/v1/chat/completions", json=chat).raise_for_status().json()["choices"][0]
        (call,) = whole["message"]["tool_calls"]
        assert (whole["finish_reason"], whole["message"]["content"]) == ("tool_calls", None)
        check_call(call["function"]["name"], call["function"]["arguments"])
        told = data_of(muse.post("/v1/chat/completions", json=chat | {"stream": True, "stop": ["name", "o"]}))
        (streamed,) = [each for event in told for each in event["choices"][0]["delta"].get("tool_calls", [])]
        assert streamed["function"] == call["function"], "words that end an answer do not break a call"
        flat = [{"type": "function", **tool["function"]} for tool in TOOLS]
        named = choice if choice == "required" else {"type": "function", "name": "go"}
        response = {
            "model": "muse",
            "input": said,
            "tools": flat,
            "tool_choice": named,
            "max_output_tokens": 200,
            "parallel_tool_calls": False,
        }
        (item,) = muse.post("/v1/responses", json=response).raise_for_status().json()["output"]
        assert (item["type"], item["name"], item["arguments"]) == ("function_call", *call["function"].values())
        if choice == "required":
            told = data_of(muse.post("/v1/responses", json=response | {"stream": True}))
            assert told[-1]["response"]["output"][0]["arguments"] == item["arguments"]
        used = [{"name": "go", "input_schema": PLACES}, {"name": "stay", "input_schema": {"type": "object", "additionalProperties": False}}]
        asked = {"type": "any"} if choice == "required" else {"type": "tool", "name": "go"}
        message = {"model": "muse", "messages": said, "max_tokens": 200, "tools": used}
        message |= {"tool_choice": asked | {"disable_parallel_tool_use": True}}
        found = muse.post("/v1/messages", json=message).raise_for_status().json()
        assert (found["stop_reason"], [block["type"] for block in found["content"]]) == ("tool_use", ["tool_use"])
        check_call(found["content"][0]["name"], found["content"][0]["input"])
    cut = muse.post("/v1/chat/completions", json=chat | {"max_tokens": 4}).raise_for_status().json()["choices"][0]
    assert (cut["finish_reason"], "tool_calls" in cut["message"]) == ("length", False)


@pytest.fixture(scope="module")
def callers(writers: Stack) -> httpx.Client:
    """Beside `muse` endpoints of networks that call in other forms, named for them."""
    numbers = []
    for form in OTHERS:
        make_model(writers.home / "models" / f"{form}:1", tools=form)
        numbers.append(writers.deploy(f"{form}:1", form, variant="torch-fp32"))
    for number in numbers:
        writers.wait_state(number, "ready")
    return writers.client


@pytest.mark.parametrize("model", ["muse", *OTHERS])
def test_calls_of_any_form_are_certain_whole_and_streamed(callers: httpx.Client, model: str) -> None:
    """One call, and several where chance has it so."""
    chat = {"model": model, "messages": [{"role": "user", "content": TEXTS[1]}], "tools": TOOLS, "tool_choice": "required"}
    chat |= {"max_tokens": 400, "temperature": 1}
    counts = set()
    for seed in range(12):
        drawn = chat | {"seed": seed, "parallel_tool_calls": seed > 1}
        whole = callers.post("/v1/chat/completions", json=drawn).raise_for_status().json()["choices"][0]
        told = data_of(callers.post("/v1/chat/completions", json=drawn | {"stream": True}))
        streamed = [each["function"] for event in told for each in event["choices"][0]["delta"].get("tool_calls", [])]
        calls = [each["function"] for each in whole["message"].get("tool_calls", [])]
        assert streamed == calls
        if whole["finish_reason"] == "length":
            continue
        assert (whole["finish_reason"], whole["message"]["content"]) == ("tool_calls", None)
        for call in calls:
            check_call(call["name"], call["arguments"])
        assert seed > 1 or len(calls) == 1
        counts.add(len(calls))
    assert max(counts) > 1


@pytest.mark.parametrize("model", OTHERS)
def test_the_form_of_calls_is_told_whole_and_streamed(callers: httpx.Client, model: str) -> None:
    talk = {"messages": [{"role": "user", "content": TEXTS[1]}], "tools": TOOLS}
    asked = {"inputs": talk, "parameters": {"tool_choice": "required", "parallel_tool_calls": False, "max_new_tokens": 400}}
    whole = callers.post(f"/models/{model}", json=asked).raise_for_status().json()
    last = data_of(callers.post(f"/hf/{model}", json=asked | {"stream": True}))[-1]
    assert (last["tool_form"], last["generated_text"]) == (whole["tool_form"], whole["generated_text"])
    assert whole["tool_form"] == model
    assert split(whole["generated_text"], told_of(whole), TOOLS).calls


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"tool_choice": {"type": "function", "function": {"name": "nowhere"}}}, "invalid_parameter"),
        ({"tool_choice": "required", "response_format": {"type": "json_object"}}, "invalid_parameter"),
        ({"tool_choice": "required", "tools": [{"type": "function", "function": {"name": "a", "parameters": {"type": "string"}}}]},
         "invalid_parameter"),
        ({"tool_choice": "required", "tools": [{"type": "function", "function": {"name": "a", "parameters": {"not": {}}}}]},
         "constraint_refused"),
    ],
    ids=str,
)  # fmt: skip
def test_a_call_that_cannot_be_asked_for_is_refused(muse, more: dict, code: str) -> None:
    body = {"model": "muse", "messages": [{"role": "user", "content": "x"}], "tools": TOOLS, "max_tokens": 50, **more}
    answer = muse.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def test_a_response_goes_on_from_calls_and_what_tools_answered(muse) -> None:
    """The same talk as chat completions read it."""
    call = {"type": "function_call", "call_id": "c1", "name": "go", "arguments": '{"at": "here"}'}
    items = [{"role": "user", "content": "x"}, call, {"type": "function_call_output", "call_id": "c1", "output": "gone"}]
    flat = [{"type": "function", **tool["function"]} for tool in TOOLS]
    response = muse.post("/v1/responses", json={"model": "muse", "input": items, "tools": flat, "max_output_tokens": 8})
    calls = [{"id": "c1", "type": "function", "function": {"name": "go", "arguments": '{"at": "here"}'}}]
    talk = [
        items[0],
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "gone"},
    ]
    chat = muse.post("/v1/chat/completions", json={"model": "muse", "messages": talk, "tools": TOOLS, "max_tokens": 8})
    told = response.raise_for_status().json()
    assert told["usage"]["input_tokens"] == chat.raise_for_status().json()["usage"]["prompt_tokens"]
    assert told["output"][0]["content"][0]["text"] == chat.json()["choices"][0]["message"]["content"]
