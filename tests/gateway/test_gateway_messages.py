"""Anthropic's messages without a server."""

from __future__ import annotations

import json

import pytest
from tests.gateway.door_talk import CALLED, ROW, TALK, events, message, written

from hanlin.errors import InvalidInput
from hanlin.gateway.messages_door import read_count
from hanlin.gateway.messages_talk import talk
from hanlin.gateway.messages_wire import message_error

USED = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}


def test_tools_of_messages() -> None:
    talk = [
        {"role": "user", "content": "Where?"},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "See."}, {"type": "tool_use", "id": "1", "name": "look", "input": {"a": 1}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "here"}], "is_error": True},
                {"type": "tool_result", "tool_use_id": "2"},
                {"type": "text", "text": "And?"},
            ],
        },
    ]
    ask = message(messages=talk, tools=[USED], tool_choice={"type": "auto"})
    assert ask.inputs == {
        "messages": [
            {"role": "user", "content": "Where?"},
            {
                "role": "assistant",
                "content": "See.",
                "tool_calls": [{"type": "function", "function": {"name": "look", "arguments": {"a": 1}}}],
            },
            {"role": "tool", "content": "here"},
            {"role": "tool", "content": ""},
            {"role": "user", "content": "And?"},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}}],
    }
    told, headers = written(ask, ROW | {"generated_text": CALLED})
    assert headers["x-hanlin-ignored"] == "tool_result.is_error"
    assert told["stop_reason"] == "tool_use"
    assert [block["type"] for block in told["content"]] == ["text", "tool_use", "tool_use"]
    assert (told["content"][1]["name"], told["content"][1]["input"]) == ("look", {"at": "<b>"})
    cut: list[dict] = [{"text": letter} for letter in CALLED]
    cut[-1] |= {"finish_reason": "stop", "num_tokens": 9}
    found = [data for _, data in events(message(tools=[USED], stream=True), [(0, piece) for piece in cut])]
    text = "".join(each["delta"]["text"] for each in found if each["type"] == "content_block_delta" and each["index"] == 0)
    assert text == "Let me see."
    inputs = [json.loads(each["delta"]["partial_json"]) for each in found if each["type"] == "content_block_delta" and each["index"]]
    assert inputs == [{"at": "<b>"}, {}]
    assert [each["index"] for each in found if each["type"] == "content_block_stop"] == [0, 1, 2]
    assert found[-2]["delta"]["stop_reason"] == "tool_use"
    assert "tools" not in message(tools=[USED], tool_choice={"type": "none"}).inputs


def test_a_message_is_a_talk_of_the_task() -> None:
    ask = message(
        system=[{"type": "text", "text": "Be short.", "cache_control": {"type": "ephemeral"}}], stop_sequences=["x"], temperature=1,
        top_k=5,
        messages=[{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], metadata={"user_id": "1"}, thinking={"type": "disabled"},
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}},
    )  # fmt: skip
    assert ask.inputs == {"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}]}
    assert ask.parameters == {
        "temperature": 1.0, "top_k": 5, "max_new_tokens": 8, "stop": ["x"], "grammar": {"type": "json", "value": {"type": "object"}},
    }  # fmt: skip
    told, headers = written(ask, ROW | {"stop_sequence": "x"})
    assert headers["x-hanlin-ignored"] == "metadata, cache_control"
    assert told["content"] == [{"type": "text", "text": "Good day."}]
    assert (told["stop_reason"], told["stop_sequence"]) == ("stop_sequence", "x")
    assert told["usage"] == {"input_tokens": 4, "output_tokens": 3}
    assert written(message(), ROW)[0]["stop_reason"] == "end_turn"
    assert written(message(), ROW | {"finish_reason": "length"})[0]["stop_reason"] == "max_tokens"


def test_a_message_in_events() -> None:
    found = events(message(stream=True))
    assert [name for name, _ in found] == [
        "message_start", "content_block_start", *["content_block_delta"] * 3, "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    assert all(data["type"] == name for name, data in found)
    assert "".join(data["delta"]["text"] for name, data in found if name == "content_block_delta") == "Good day."
    assert found[-2][1] == {
        "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"input_tokens": 4, "output_tokens": 3},
    }  # fmt: skip


def test_tokens_are_counted_without_a_model() -> None:
    ask = read_count(json.dumps({"model": "poet", "messages": TALK, "system": "S"}).encode(), "")
    assert (ask.operation, ask.parameters) == ("count", {})
    assert written(ask, [4])[0] == {"input_tokens": 4}


def test_errors_of_messages_have_their_types() -> None:
    told = json.loads(message_error(InvalidInput("text_too_long", index=0, length=9, unit="tokens", limit=8), "r", "en"))
    assert (told["type"], told["error"]["type"], told["request_id"]) == ("error", "request_too_large", "r")
    assert "9 tokens" in told["error"]["message"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"tools": {"a": 1}}, "invalid_messages"), ({"tool_choice": {"type": "any"}}, "invalid_parameter"),
        ({"tools": [{"type": "web_search_20250305", "name": "w"}]}, "invalid_messages"), ({"tools": [USED | {"x": 1}]}, "invalid_messages"),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": "a"}]}]}, "invalid_messages"),
        ({"tools": [USED], "tool_choice": {"type": "tool"}}, "missing_field"),
        ({"tools": [USED], "tool_choice": "any"}, "invalid_parameter"),
        ({"tools": [USED], "tool_choice": {"type": []}}, "invalid_parameter"),
        ({"tools": [USED], "tool_choice": {"type": "any", "x": 1}}, "unknown_field"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "field_not_taken"), ({"container": "x"}, "field_not_taken"),
        ({"max_tokens": None}, "missing_field"), ({"max_tokens": 0}, "invalid_parameter"), ({"seed": 1}, "unknown_field"),
        ({"system": 5}, "invalid_messages"), ({"system": [{"type": "image"}]}, "invalid_messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "invalid_messages"), ({"messages": [{"role": "user"}]}, "invalid_messages"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_use"}]}]}, "invalid_messages"),
        ({"messages": {}}, "invalid_messages"), ({"output_config": []}, "invalid_parameter"), ({"stop_sequences": {}}, "invalid_parameter"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "invalid_parameter"), ({"model": []}, "invalid_parameter"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_message_is_refused_by_name(more: dict, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        message(**more)
    assert refused.value.code == code


class Block(dict):  # type: ignore[type-arg]
    """Counts how often one is held against another."""

    compared = 0
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        Block.compared += 1
        return dict.__eq__(self, other)


def test_the_blocks_of_a_message_are_not_held_against_each_other() -> None:
    """Bug: each text was, against each answer of a tool: of ten thousand of both the gateway did nothing else for seconds."""
    blocks = [Block(type="tool_result", tool_use_id="1", content="here"), Block(type="text", text="a")] * 20
    found = talk({"messages": [{"role": "user", "content": [*blocks]}]}, [])
    assert [each["role"] for each in found] == ["tool"] * 20 + ["user"]  # type: ignore[index,call-overload]
    assert Block.compared == 0


LOOK = {"tool_choice": "required", "tool_name": "look"}


def test_that_a_tool_is_used_can_be_asked_for() -> None:
    single = {"type": "any", "disable_parallel_tool_use": True}
    assert message(tools=[USED], tool_choice=single).parameters == {
        "max_new_tokens": 8, "tool_choice": "required", "parallel_tool_calls": False,
    }  # fmt: skip
    assert message(tools=[USED], tool_choice={"type": "tool", "name": "look"}).parameters == {"max_new_tokens": 8} | LOOK
    called = CALLED.partition("\n")[2]
    ask = message(tools=[USED], tool_choice=single)
    assert [block["type"] for block in written(ask, ROW | {"generated_text": called})[0]["content"]] == ["tool_use", "tool_use"]
    piece: dict = {"text": called, "finish_reason": "stop", "num_tokens": 9, "stop_sequence": "</tool_call>"}
    found = [data for _, data in events(message(tools=[USED], tool_choice=single, stream=True), [(0, piece)])]
    assert [data["content_block"]["type"] for data in found if data["type"] == "content_block_start"] == ["tool_use", "tool_use"]
    assert found[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    empty = [name for name, _ in events(message(tools=[USED], stream=True), [(0, {"text": "", "finish_reason": "stop", "num_tokens": 0})])]
    assert empty == ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"]
