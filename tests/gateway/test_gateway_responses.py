"""OpenAI's responses without a server."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.gateway.door_talk import CALLED, ROW, TOKENS, events, outcome, parsed, respond, written

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.gateway.door import Framed

FLAT = {"type": "function", "name": "look", "parameters": {"type": "object"}}


def test_a_response_whole() -> None:
    ask = respond(
        input=[{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
               {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}]},
               {"role": "user", "content": "And?"}],
        instructions="Be short.", max_output_tokens=9, store=True, metadata={"a": "b"}, truncation="auto", reasoning={"effort": "low"},
        text={"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}},
    )  # fmt: skip
    assert ask.inputs == {"messages": [
        {"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "And?"},
    ]}  # fmt: skip
    assert ask.parameters == {"max_new_tokens": 9, "grammar": {"type": "json", "value": {"type": "object"}}, "truncation": True}
    told, headers = written(ask, ROW | {"finish_reason": "length"})
    assert headers["x-hanlin-ignored"] == "reasoning"
    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert told["output"][0]["content"][0]["text"] == "Good day."
    assert (told["usage"]["total_tokens"], told["metadata"], told["store"]) == (7, {"a": "b"}, True)
    write = respond().write
    assert write is not None
    known = write(replace(outcome(ROW), cached=2))
    assert isinstance(known, Framed)
    assert json.loads(known.body)["usage"]["input_tokens_details"]["cached_tokens"] == 2
    chances, _ = written(respond(include=["message.output_text.logprobs"]), ROW | {"details": {"tokens": TOKENS}})
    assert [each["token"] for each in chances["output"][0]["content"][0]["logprobs"]] == ["Good", " day", "."]


def test_a_response_in_events() -> None:
    found = events(respond(stream=True))
    assert [name.removeprefix("response.") for name, _ in found] == [
        "created", "in_progress", "output_item.added", "content_part.added", *["output_text.delta"] * 3, "output_text.done",
        "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert all(data["type"] == name for name, data in found)
    assert [data["sequence_number"] for _, data in found] == list(range(len(found)))
    assert "".join(data["delta"] for name, data in found if name.endswith("delta")) == "Good day."
    assert found[-1][1]["response"]["output"][0]["content"][0]["text"] == "Good day."
    stream = respond(stream=True).stream
    assert stream is not None
    ((name, data),) = parsed(stream.fail(EngineFailed("engine_failed"), "r1", "en"))
    assert (name, data["type"], data["code"]) == ("error", "error", "engine_failed")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"previous_response_id": 1}, "invalid_parameter"), ({"store": 1}, "invalid_parameter"),
        ({"background": True}, "field_not_taken"), ({"n": 2}, "unknown_field"),
        ({"tools": [{}]}, "invalid_messages"), ({"tools": [FLAT | {"x": 1}]}, "invalid_messages"),
        ({"tools": [{"type": "web_search"}]}, "invalid_messages"), ({"tool_choice": "required"}, "invalid_parameter"),
        ({"input": [{"type": "function_call", "call_id": "1", "name": "a"}]}, "invalid_messages"),
        ({"input": [{"role": "user", "content": "x", "id": ""}]}, "invalid_messages"),
        ({"input": [{"type": "function_call_output", "call_id": "1", "output": "x"}]}, "invalid_messages"),
        ({"conversation": "conv_1"}, "field_not_taken"), ({"input": []}, "invalid_messages"),
        ({"input": [{"type": "function_call_output"}]}, "invalid_messages"), ({"include": ["x"]}, "invalid_parameter"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "invalid_messages"), ({"input": 5}, "invalid_messages"),
        ({"text": 5}, "invalid_parameter"), ({"truncation": "some"}, "invalid_parameter"), ({"max_output_tokens": 0}, "invalid_parameter"),
        ({"metadata": [1]}, "invalid_parameter"), ({"metadata": {"a": "x" * 513}}, "invalid_parameter"),
        ({"metadata": {str(number): "" for number in range(17)}}, "invalid_parameter"),
        ({"instructions": 5}, "invalid_parameter"), ({"text": {"format": {"type": "xml"}}}, "invalid_parameter"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_response_is_refused_by_name(more: dict, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        respond(**more)
    assert refused.value.code == code


def test_of_wrong_input_it_is_said_what_it_is() -> None:
    for value, words in (({}, "object"), (None, "null"), (0, "number"), ([], "no messages")):
        with pytest.raises(InvalidInput) as refused:
            respond(input=value)
        assert words in str(refused.value)
        assert all("`input`" in refused.value.advice(language) for language in ("en", "zh"))


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"include": ["zz"]}, "a list with 'zz'"), ({"include": [5]}, "a list with 5"), ({"include": "zz"}, "a string"),
        ({"metadata": {"a": 5}}, "one with 'a'"), ({"metadata": {str(n): "" for n in range(17)}}, "17 of them"),
        ({"text": {"format": {}}}, "an object without one"), ({"text": {"format": {"type": 5}}}, "one of type 5"),
    ],
)  # fmt: skip
def test_of_a_wrong_field_it_is_said_what_was_found(more: dict, found: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        respond(**more)
    assert refused.value.params["found"] == found


def test_tools_of_responses() -> None:
    items = [
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "See."}]},
        {"type": "function_call", "call_id": "one", "name": "look", "arguments": '{"a": 1}', "id": "fc_1", "status": "completed"},
        {"type": "function_call", "call_id": "two", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "two", "output": [{"type": "input_text", "text": "there"}]},
        {"type": "function_call_output", "call_id": "one", "output": ""},
    ]
    ask = respond(input=items, tools=[FLAT | {"strict": True}], tool_choice={"type": "function", "name": "look"}, parallel_tool_calls=False)
    calls = [{"type": "function", "function": {"name": "look", "arguments": text}} for text in ('{"a": 1}', "{}")]
    assert ask.inputs == {
        "messages": [
            {"role": "user", "content": "Where?"}, {"role": "assistant", "content": "See.", "tool_calls": calls},
            {"role": "tool", "content": ""}, {"role": "tool", "content": "there"},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    }  # fmt: skip
    assert ask.parameters == {"tool_choice": "required", "tool_name": "look", "parallel_tool_calls": False}
    told, headers = written(ask, ROW | {"generated_text": CALLED})
    assert headers["x-hanlin-ignored"] == "tools.strict"
    assert [item["type"] for item in told["output"]] == ["message", "function_call", "function_call"]
    assert [(item["name"], item["arguments"]) for item in told["output"][1:]] == [("look", '{"at": "<b>"}'), ("go", "{}")]
    assert told["output"][1]["call_id"].startswith("call_")
    assert (told["tool_choice"], told["parallel_tool_calls"]) == ({"type": "function", "name": "look"}, False)
    assert "tools" not in respond(tools=[FLAT], tool_choice="none").inputs


def test_calls_of_a_response_in_events() -> None:
    pieces: list[dict] = [{"text": letter} for letter in CALLED]
    pieces[-1] |= {"finish_reason": "stop", "num_tokens": 9}
    found = [data for _, data in events(respond(tools=[FLAT], stream=True), [(0, piece) for piece in pieces])]
    assert [data["sequence_number"] for data in found] == list(range(len(found)))
    assert "".join(data["delta"] for data in found if data["type"] == "response.output_text.delta") == "Let me see."
    added = [(data["output_index"], data["item"]["type"]) for data in found if data["type"] == "response.output_item.added"]
    assert added == [(0, "message"), (1, "function_call"), (2, "function_call")]
    deltas = [data["delta"] for data in found if data["type"] == "response.function_call_arguments.delta"]
    done = [data["item"] for data in found if data["type"] == "response.output_item.done"]
    assert deltas == [item["arguments"] for item in done[1:]] == ['{"at": "<b>"}', "{}"]
    assert found[-1]["response"]["output"] == done
    alone = events(respond(tools=[FLAT], stream=True), [(0, {**pieces[-1], "text": CALLED.partition("\n")[2]})])
    kinds = [name.removeprefix("response.") for name, _ in alone]
    each = ["output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"]
    assert kinds == ["created", "in_progress", *each, *each, "completed"]
