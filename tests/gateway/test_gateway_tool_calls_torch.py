"""Calls of tools that a random network on the torch engine is made to write, at every door that knows tools."""

from __future__ import annotations

import json

import pytest
from tests.gateway.muse import TEXTS, data_of

pytestmark = pytest.mark.e2e
PLACES = {"type": "object", "properties": {"at": {"$ref": "#/$defs/place"}}, "required": ["at"], "additionalProperties": False,
          "$defs": {"place": {"enum": ["here", "there"]}}}  # fmt: skip
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
    several = muse.post("/v1/chat/completions", json=chat | {"tool_choice": "required", "parallel_tool_calls": True, "temperature": 1})
    for call in several.raise_for_status().json()["choices"][0]["message"].get("tool_calls", []):
        check_call(call["function"]["name"], call["function"]["arguments"])
    cut = muse.post("/v1/chat/completions", json=chat | {"max_tokens": 4}).raise_for_status().json()["choices"][0]
    assert (cut["finish_reason"], "tool_calls" in cut["message"]) == ("length", False)


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
