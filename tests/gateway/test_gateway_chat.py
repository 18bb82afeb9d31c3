"""Chat completions without a server."""

from __future__ import annotations

import json

import pytest
from tests.gateway.door_talk import CALLED, PIECES, ROW, TALK, TOKENS, TOOL, TOPS, chat, complete, events, message, respond, written

from hanlin.errors import InvalidInput


def test_a_chat_is_a_talk_of_the_task() -> None:
    talk = [
        {"role": "developer", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "short."}]},
        {"role": "user", "content": "Hi", "name": "Ada"},
        {"role": "assistant", "content": "Hello", "refusal": None, "annotations": [], "tool_calls": None, "audio": None},
        {"role": "user", "content": "And?"},
    ]
    ask = chat(
        messages=talk, temperature=0.5, top_p=0.9, seed=7, max_completion_tokens=9, stop="x", presence_penalty=1, frequency_penalty=-1,
        logit_bias={"5": -100}, n=2, user="me", store=False, metadata={"a": "b"}, logprobs=True, top_logprobs=2,
    )  # fmt: skip
    assert ask.inputs == {"messages": [
        {"role": "system", "content": "Be\nshort."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "And?"},
    ]}  # fmt: skip
    assert ask.parameters == {
        "temperature": 0.5, "top_p": 0.9, "seed": 7, "max_new_tokens": 9, "stop": ["x"], "presence_penalty": 1.0, "frequency_penalty": -1.0,
        "logit_bias": {"5": -100}, "num_return_sequences": 2, "details": True, "top_n_tokens": 2,
    }  # fmt: skip
    assert (ask.endpoint, ask.task, ask.stream) == ("poet", "text-generation", None)
    assert chat(temperature=0).parameters == {"do_sample": False}
    _, headers = written(ask, [ROW | {"details": {"tokens": []}}] * 2, 8)
    assert headers["x-hanlin-ignored"] == "user, metadata, messages.name"


@pytest.mark.parametrize(
    ("said", "grammar"),
    [
        ({"type": "text"}, None), ({"type": "json_object"}, {"type": "json_object"}),
        ({"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": {"type": "object"}}},
         {"type": "json", "value": {"type": "object"}}),
        ({"type": "regex", "value": "[0-9]"}, {"type": "regex", "value": "[0-9]"}),
        ({"type": "json_object", "value": {"type": "array"}}, {"type": "json", "value": {"type": "array"}}),
    ],
)  # fmt: skip
def test_the_form_of_an_answer(said: dict, grammar: dict | None) -> None:
    assert chat(response_format=said).parameters.get("grammar") == grammar


@pytest.mark.parametrize(
    ("said", "field", "found"),
    [
        ({"type": "regex", "value": ""}, "value", "an empty string"), ({"type": "regex", "value": 5}, "value", "5"),
        ({"type": "lark"}, "value", "null"), ({"type": "lark", "value": "x" * 200_001}, "value", "200001"),
        ({"type": "json_object", "value": 5}, "value", "5"), ({"type": "json", "value": [1]}, "value", "a list"),
        ({"type": "json_schema"}, "json_schema.schema", "null"), ({"type": "json_schema", "json_schema": 5}, "json_schema", "5"),
        ({"type": "json_schema", "json_schema": {"schema": []}}, "json_schema.schema", "an empty list"),
        ({"type": "json_schema", "schema": {"title": "x" * 200_000}}, "schema", "200013"),
    ],
)  # fmt: skip
def test_a_wrong_form_is_told_under_the_name_that_was_sent(said: dict, field: str, found: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        chat(response_format=said)
    assert (refused.value.params["name"], refused.value.params["found"]) == (f"response_format.{field}", found)
    with pytest.raises(InvalidInput) as refused:
        complete(response_format=said)
    assert refused.value.params["name"] == f"response_format.{field}"


def test_forms_of_doors_without_response_format_keep_their_names() -> None:
    with pytest.raises(InvalidInput) as refused:
        respond(text={"format": {"type": "json_schema"}})
    assert refused.value.params["name"] == "text.format.schema"
    with pytest.raises(InvalidInput) as refused:
        message(output_config={"format": {"type": "regex", "value": ""}})
    assert refused.value.params["name"] == "output_config.format.value"


def test_a_whole_chat_answer() -> None:
    told, headers = written(chat(), ROW)
    assert told["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "Good day.", "refusal": None}, "logprobs": None, "finish_reason": "stop"}
    ]
    assert (told["object"], told["model"], told["id"][:9]) == ("chat.completion", "poet", "chatcmpl-")
    assert told["usage"] == {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7}
    assert headers == {"content-type": "application/json"}
    several, _ = written(chat(n=2), [ROW, ROW | {"finish_reason": "length"}], 8)
    assert [choice["finish_reason"] for choice in several["choices"]] == ["stop", "length"]
    assert several["usage"] == {"prompt_tokens": 4, "completion_tokens": 6, "total_tokens": 10}


def test_chances_of_a_chat_answer() -> None:
    told, _ = written(chat(logprobs=True, top_logprobs=2), ROW | {"details": {"tokens": TOKENS, "top_tokens": TOPS}})
    content = told["choices"][0]["logprobs"]["content"]
    assert [each["token"] for each in content] == ["Good", " day", "."]
    assert content[0]["bytes"] == [*b"Good"]
    assert content[1]["logprob"] == -9999.0
    assert [each["token"] for each in content[2]["top_logprobs"]] == [".", "No"]


def test_a_chat_in_chunks() -> None:
    found = events(chat(stream=True, stream_options={"include_usage": True}))
    assert found[-1] == ("", "[DONE]")
    chunks = [data for _, data in found[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1]) == "Good day."
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None, None, None, None, "stop"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 7)
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert "usage" not in events(chat(stream=True))[0][1]


def test_several_answers_in_chunks_keep_apart() -> None:
    pieces = [(1, PIECES[0]), (0, {"text": "No", "finish_reason": "length", "num_tokens": 1}), (1, PIECES[2])]
    found = [data for _, data in events(chat(stream=True, n=2, stream_options={"include_usage": True}), pieces, tokens=8)[:-1]]
    by_place = dict.fromkeys((0, 1), "")
    for chunk in found[:-1]:
        by_place[chunk["choices"][0]["index"]] += chunk["choices"][0]["delta"].get("content", "")
    assert by_place == {0: "No", 1: "Good."}
    assert found[-1]["usage"] == {"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 8}


def test_calls_of_tools_are_told_whole_and_in_chunks() -> None:
    ask = chat(tools=[TOOL], tool_choice="auto", parallel_tool_calls=True)
    assert ask.inputs == {"messages": TALK, "tools": [TOOL]}
    told, _ = written(ask, ROW | {"generated_text": CALLED})
    (choice,) = told["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", "Let me see.")
    calls = [(call["type"], call["function"]) for call in choice["message"]["tool_calls"]]
    assert calls == [("function", {"name": "look", "arguments": '{"at": "<b>"}'}), ("function", {"name": "go", "arguments": "{}"})]
    for size in (1, 3, 7, len(CALLED)):
        cut = [{"text": CALLED[at : at + size]} for at in range(0, len(CALLED), size)]
        cut[-1] |= {"finish_reason": "stop", "num_tokens": 9}
        found = [data["choices"][0] for _, data in events(chat(tools=[TOOL], stream=True), [(0, piece) for piece in cut])[:-1]]
        assert "".join(each["delta"].get("content", "") for each in found) == "Let me see."
        streamed = [call for each in found for call in each["delta"].get("tool_calls", [])]
        assert [(call["index"], call["type"], call["function"]) for call in streamed] == [(at, *call) for at, call in enumerate(calls)]
        assert found[-1]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>{", "a <tool_call>\nx</tool_call>", "a < b <tool", '<tool_call>{"name": 5}</tool_call>', "<tool_call>",
        '<tool_call>{"name": "look", "arguments": {"at": "\\ud800"}}</tool_call>',
        '<tool_call>{"name": "look", "arguments": {"at": NaN}}</tool_call>',
    ],
)  # fmt: skip
def test_what_is_no_call_stays_text(text: str) -> None:
    told, _ = written(chat(tools=[TOOL]), ROW | {"generated_text": text})
    assert told["choices"][0]["message"]["content"] == text
    cut = [{"text": letter} for letter in text]
    cut[-1] |= {"finish_reason": "stop", "num_tokens": 9}
    found = [data["choices"][0] for _, data in events(chat(tools=[TOOL], stream=True), [(0, piece) for piece in cut])[:-1]]
    assert "".join(each["delta"].get("content", "") for each in found) == text
    assert found[-1]["finish_reason"] == "stop"


def test_without_tools_nothing_is_looked_for() -> None:
    for ask in (chat(), chat(tools=[TOOL], tool_choice="none"), chat(tools=[])):
        told, _ = written(ask, ROW | {"generated_text": CALLED})
        assert told["choices"][0]["message"]["content"] == CALLED
        assert ask.inputs == {"messages": TALK}


def test_calls_and_their_answers_come_back() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    talk = [
        *TALK,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "ten"},
    ]
    ask = chat(messages=talk, tools=[TOOL])
    assert ask.inputs == {"messages": [
        *TALK, {"role": "assistant", "content": None, "tool_calls": [call]}, {"role": "tool", "content": "ten"},
    ], "tools": [TOOL]}  # fmt: skip
    assert written(ask, ROW)[1]["x-hanlin-ignored"] == "messages.tool_call_id"


CHAT_MISTAKES = [
    ({"tool_choice": "required"}, "invalid_parameter"),
    ({"tool_choice": "some", "tools": [TOOL]}, "invalid_parameter"),
    ({"tool_choice": {"type": "function", "function": {}}, "tools": [TOOL]}, "invalid_parameter"),
    ({"tool_choice": {"type": "allowed_tools"}, "tools": [TOOL]}, "field_not_taken"),
    ({"parallel_tool_calls": 1}, "invalid_parameter"),
    ({"audio": {}}, "field_not_taken"),
    ({"functions": []}, "field_not_taken"),
    ({"modalities": ["text", "audio"]}, "field_not_taken"),
    ({"nonsense": 1}, "unknown_field"),
    ({"model": 5}, "invalid_parameter"),
    ({"model": None}, "invalid_parameter"),
    ({"n": 0}, "invalid_parameter"),
    ({"n": 10**9}, "invalid_parameter"),
    ({"n": "1"}, "invalid_parameter"),
    ({"n": 1.0}, "invalid_parameter"),
    ({"n": True}, "invalid_parameter"),
    ({"max_tokens": 0}, "invalid_parameter"),
    ({"max_tokens": -1}, "invalid_parameter"),
    ({"max_tokens": 2**62}, "invalid_parameter"),
    ({"max_tokens": 1, "max_completion_tokens": 2}, "invalid_parameter"),
    ({"temperature": 3}, "invalid_parameter"),
    ({"temperature": "hot"}, "invalid_parameter"),
    ({"top_p": 0}, "invalid_parameter"),
    ({"seed": -1}, "invalid_parameter"),
    ({"seed": 2**54}, "invalid_parameter"),
    ({"presence_penalty": 3}, "invalid_parameter"),
    ({"stop": 5}, "invalid_parameter"),
    ({"stop": ["a"] * 17}, "invalid_parameter"),
    ({"stop": [None]}, "invalid_parameter"),
    ({"stream": 1}, "invalid_parameter"),
    ({"stream_options": {}}, "invalid_parameter"),
    ({"top_logprobs": 2}, "invalid_parameter"),
    ({"logprobs": True, "top_logprobs": 21}, "invalid_parameter"),
    ({"response_format": "json"}, "invalid_parameter"),
    ({"response_format": {"type": "xml"}}, "invalid_parameter"),
    ({"response_format": {"type": "json_schema"}}, "invalid_parameter"),
    ({"stream": True, "stream_options": {"include_usage": 1}}, "invalid_parameter"),
    ({"stream": True, "stream_options": {"more": 1}}, "unknown_field"),
    ({"stream": True, "stream_options": {"include_obfuscation": True}}, "field_not_taken"),
    ({"messages": []}, "invalid_messages"),
    ({"messages": "Hi"}, "invalid_messages"),
    ({"messages": [5]}, "invalid_messages"),
    ({"messages": [{"role": "user"}]}, "invalid_messages"),
    ({"messages": [{"role": "king", "content": "x"}]}, "invalid_messages"),
    ({"messages": [{"role": "user", "content": 5}]}, "invalid_messages"),
    ({"messages": [{"role": "user", "content": []}]}, "invalid_messages"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "invalid_messages"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "invalid_messages"),
    ({"messages": [{"role": "user", "content": "x", "more": 1}]}, "invalid_messages"),
    ({"messages": [{"role": "assistant", "content": "x", "function_call": {}, "audio": {"id": "1"}}]}, "invalid_messages"),
]


@pytest.mark.parametrize(("more", "code"), CHAT_MISTAKES, ids=str)
def test_a_wrong_chat_is_refused_by_name(more: dict, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        chat(**more)
    assert refused.value.code == code
    if code != "invalid_messages":
        names = [*more, *(key for value in more.values() if isinstance(value, dict) for key in value), "logprobs"]
        assert any(name in str(refused.value.params["name"]) for name in names)


@pytest.mark.parametrize(
    ("stop", "found"), [([1], "a list with 1"), (1, "1"), ([""] * 17, "17 of them"), (["a", []], "a list with an empty list")]
)
def test_of_wrong_stops_it_is_said_what_was_found(stop: object, found: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        chat(stop=stop)
    assert refused.value.params["found"] == found


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ("Hi", "messages is a string, not a list"), ({}, "messages is an object, not a list"), ([], "no messages"),
        ([{"role": "user", "content": []}], "the content is an empty list, not"),
    ],
)  # fmt: skip
def test_of_wrong_messages_it_is_said_what_they_are(messages: object, words: str) -> None:
    for ask in (chat, message):
        with pytest.raises(InvalidInput) as refused:
            ask(messages=messages)
        assert words in refused.value.message


def test_that_a_tool_is_called_can_be_asked_for() -> None:
    asked = {"tool_choice": "required", "parallel_tool_calls": False}
    assert chat(tools=[TOOL], **asked).parameters == asked
    one = {"type": "function", "function": {"name": "look"}}
    assert chat(tools=[TOOL], tool_choice=one, parallel_tool_calls=True).parameters == {"tool_choice": "required", "tool_name": "look"}
    assert chat(tools=[TOOL], tool_choice="none", parallel_tool_calls=False).parameters == {}
    assert chat(parallel_tool_calls=False).parameters == {}


def test_a_call_may_say_the_marks_of_calls() -> None:
    text = '<tool_call>\n{"name": "look", "arguments": {"at": "}</tool_call><tool_call>{"}}\n</tool_call>'
    told, _ = written(chat(tools=[TOOL]), ROW | {"generated_text": text})
    (call,) = told["choices"][0]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"at": "}</tool_call><tool_call>{"}
