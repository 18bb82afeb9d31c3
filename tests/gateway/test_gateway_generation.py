"""Doors of text generation without a server: bodies in, calls out; outcomes and parts in, the protocol's bytes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.gateway.chat_door import read_chat
from hanlin.gateway.completions_door import read_completion
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.door import Ask, Framed
from hanlin.gateway.hf_stream import streamed
from hanlin.gateway.messages_door import read_count, read_messages
from hanlin.gateway.messages_wire import message_error
from hanlin.gateway.responses_door import read_response
from hanlin.serving.wire import Part

TALK = [{"role": "user", "content": "Hi"}]
ROW = {"generated_text": "Good day.", "finish_reason": "stop", "num_tokens": 3}
TOKENS = [
    {"id": 5, "text": "Good", "logprob": -0.5, "special": False},
    {"id": 6, "text": " day", "logprob": None, "special": False},
    {"id": 7, "text": ".", "logprob": -1.5, "special": False},
]
TOPS = [[token, {"id": 9, "text": "No", "logprob": -3.0, "special": False}] for token in TOKENS]
PIECES: list[dict] = [{"text": "Good"}, {"text": " day"}, {"text": ".", "finish_reason": "stop", "num_tokens": 3}]
ODD = 'a\n\ndata: [DONE]\r\n"好" 🙂\u2028'


def chat(**more: object) -> Ask:
    return read_chat(json.dumps({"model": "poet", "messages": TALK, **more}).encode(), "")


def complete(**more: object) -> Ask:
    return read_completion(json.dumps({"model": "poet", "prompt": "Hi", **more}).encode(), "")


def message(**more: object) -> Ask:
    return read_messages(json.dumps({"model": "poet", "messages": TALK, "max_tokens": 8, **more}).encode(), "")


def respond(**more: object) -> Ask:
    return read_response(json.dumps({"model": "poet", "input": "Hi", **more}).encode(), "")


def outcome(value: object, tokens: int = 4) -> Outcome:
    return Outcome(msgspec.json.encode(value), "poet:1", "torch-fp32", 1, tokens, 0, 0, 0, task="text-generation")


def written(ask: Ask, value: object, tokens: int = 4) -> tuple[dict, dict[str, str]]:
    assert ask.write is not None
    found = ask.write(outcome(value, tokens))
    if isinstance(found, bytes):
        return json.loads(found), {}
    assert isinstance(found, Framed)
    return json.loads(found.body), {name.decode(): text.decode() for name, text in found.headers}


def events(ask: Ask, pieces: list[tuple[int, dict]] | None = None, value: object = ROW, tokens: int = 4) -> list[tuple[str, dict | str]]:
    """Name and data of each event, as a client reads them."""
    assert ask.stream is not None
    told = ask.stream.begin()
    for row, piece in pieces if pieces is not None else [(0, piece) for piece in PIECES]:
        told += ask.stream.part(Part(1, row, msgspec.json.encode(piece), 1))
    told += ask.stream.end(outcome(value, tokens))
    return parsed(told)


def parsed(told: bytes) -> list[tuple[str, dict | str]]:
    assert told.endswith(b"\n\n")
    found = []
    for block in told.decode()[:-2].split("\n\n"):
        *names, data = block.split("\n")
        assert data.startswith("data: ")
        text = data.removeprefix("data: ")
        found.append((names[0].removeprefix("event: ") if names else "", text if text == "[DONE]" else json.loads(text)))
    return found


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


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CALLED = 'Let me see.\n<tool_call>\n{"name": "look", "arguments": {"at": "<b>"}}\n</tool_call>\n<tool_call>\n{"name": "go"}\n</tool_call>'


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


def test_a_text_of_marks_goes_through_any_stream() -> None:
    """C038."""
    piece = [(0, {"text": ODD, "finish_reason": "stop", "num_tokens": 1})]
    assert events(chat(stream=True), piece)[1][1]["choices"][0]["delta"]["content"] == ODD
    assert events(complete(stream=True), piece)[0][1]["choices"][0]["text"] == ODD
    assert events(message(stream=True), piece)[2][1]["delta"]["text"] == ODD
    assert events(respond(stream=True), piece)[4][1]["delta"] == ODD
    assert events(streamed("poet", "Hi", {}), piece)[0][1]["token"]["text"] == ODD


def test_completions_whole_and_in_chunks() -> None:
    ask = complete(prompt=["one", "two"], n=2, logprobs=2, max_tokens=5)
    assert ask.inputs == ["one", "two"]
    assert ask.parameters == {"max_new_tokens": 5, "details": True, "top_n_tokens": 2, "num_return_sequences": 2}
    row = ROW | {"details": {"tokens": TOKENS, "top_tokens": TOPS}}
    told, _ = written(ask, [[row, row], [row, row]], 16)
    assert [choice["index"] for choice in told["choices"]] == [0, 1, 2, 3]
    assert told["choices"][3]["logprobs"] == {
        "tokens": ["Good", " day", "."], "token_logprobs": [-0.5, -9999.0, -1.5], "text_offset": [0, 4, 8],
        "top_logprobs": [{"Good": -0.5, "No": -3.0}, {" day": -9999.0, "No": -3.0}, {".": -1.5, "No": -3.0}],
    }  # fmt: skip
    assert told["usage"] == {"prompt_tokens": 8, "completion_tokens": 12, "total_tokens": 20}
    pieces = [(0, piece | {"tokens": [token]}) for piece, token in zip(PIECES, TOKENS, strict=True)]
    chunks = [data for _, data in events(complete(stream=True, logprobs=0), pieces)[:-1]]
    assert [chunk["choices"][0]["logprobs"]["text_offset"] for chunk in chunks] == [[0], [4], [8]]
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "Good day."
    echoed = [data["choices"][0]["text"] for _, data in events(complete(stream=True, echo=True))[:-1]]
    assert "".join(echoed) == "HiGood day."
    assert complete().parameters == {"max_new_tokens": 16}


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
    assert headers["x-hanlin-ignored"] == "store, reasoning"
    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert told["output"][0]["content"][0]["text"] == "Good day."
    assert (told["usage"]["total_tokens"], told["metadata"], told["store"]) == (7, {"a": "b"}, False)
    assert ask.write is not None
    known = ask.write(replace(outcome(ROW), cached=2))
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
        ({"previous_response_id": "resp_1"}, "field_not_taken"), ({"background": True}, "field_not_taken"), ({"n": 2}, "unknown_field"),
        ({"tools": [{}]}, "field_not_taken"), ({"tool_choice": "required"}, "field_not_taken"), ({"input": []}, "invalid_messages"),
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


def test_tokens_are_counted_without_a_model() -> None:
    ask = read_count(json.dumps({"model": "poet", "messages": TALK, "system": "S"}).encode(), "")
    assert (ask.operation, ask.parameters) == ("count", {})
    assert written(ask, [4])[0] == {"input_tokens": 4}


def test_hugging_faces_stream_with_and_without_tokens() -> None:
    plain = [data for _, data in events(streamed("poet", "Hi", {}))]
    assert "".join(data["token"]["text"] for data in plain) == "Good day."
    assert plain[-1]["generated_text"] == "Good day."
    assert plain[-1]["details"] == {"finish_reason": "eos_token", "generated_tokens": 3, "input_length": 4, "seed": None}
    pieces = [{"text": "Good day", "tokens": TOKENS[:2], "top_tokens": TOPS[:2]},
              {"text": ".", "tokens": TOKENS[2:], "finish_reason": "stop", "num_tokens": 3, "stop_sequence": "x", "seed": 7}]  # fmt: skip
    told = [data for _, data in events(streamed("poet", "Hi", {"details": True}), [(0, piece) for piece in pieces])]
    assert [data["token"]["id"] for data in told] == [5, 6, 7, None]
    assert [data["index"] for data in told] == [1, 2, 3, 4]
    assert told[0]["top_tokens"] == TOPS[0]
    assert told[-1]["details"] == {"finish_reason": "stop_sequence", "generated_tokens": 3, "input_length": 4, "seed": 7}


@pytest.mark.parametrize("ask", [lambda: chat(stream=True), lambda: complete(stream=True)])
def test_a_stream_that_fails_says_so_and_has_no_end_mark(ask: Callable[[], Ask]) -> None:
    stream = ask().stream
    assert stream is not None
    ((name, data),) = parsed(stream.fail(EngineFailed("engine_failed"), "r1", "en"))
    assert (name, data["error"]["code"], data["error"]["request_id"]) == ("", "engine_failed", "r1")


def test_a_stream_of_messages_and_of_hugging_face_fails_in_its_own_words() -> None:
    stream = message(stream=True).stream
    assert stream is not None
    ((name, data),) = parsed(stream.fail(EngineFailed("engine_failed"), "r1", "zh"))
    assert (name, data["type"], data["error"]["type"]) == ("error", "error", "api_error")
    other = streamed("poet", "Hi", {}).stream
    assert other is not None
    ((_, data),) = parsed(other.fail(EngineFailed("engine_failed"), "r1", "en"))
    assert isinstance(data["error"], str)
    assert data["error_type"] == "server_error"


def test_errors_of_messages_have_their_types() -> None:
    told = json.loads(message_error(InvalidInput("text_too_long", index=0, length=9, unit="tokens", limit=8), "r", "en"))
    assert (told["type"], told["error"]["type"], told["request_id"]) == ("error", "request_too_large", "r")
    assert "9 tokens" in told["error"]["message"]


CHAT_MISTAKES = [
    ({"tool_choice": "required"}, "field_not_taken"),
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
    ("more", "code"),
    [
        ({"suffix": "x"}, "field_not_taken"), ({"best_of": 2}, "invalid_parameter"), ({"echo": True, "logprobs": 1}, "invalid_parameter"),
        ({"logprobs": 21}, "invalid_parameter"), ({"logprobs": True}, "invalid_parameter"), ({"tools": []}, "unknown_field"),
        ({"user": 5}, "invalid_parameter"), ({"echo": 1}, "invalid_parameter"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wrong_completion_is_refused_by_name(more: dict, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        complete(**more)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"tools": {"a": 1}}, "invalid_messages"), ({"tool_choice": {"type": "any"}}, "field_not_taken"),
        ({"tools": [{"type": "web_search_20250305", "name": "w"}]}, "invalid_messages"), ({"tools": [USED | {"x": 1}]}, "invalid_messages"),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": "a"}]}]}, "invalid_messages"),
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


@pytest.mark.parametrize(
    ("inputs", "parameters"),
    [
        (["a", "b"], {}), ("a", {"num_return_sequences": 2}), ("a", {"return_full_text": True}), ("a", {"score": True}),
        ("a", {"likeliest": 2}),
    ],
)  # fmt: skip
def test_a_stream_is_of_one_answer(inputs: object, parameters: dict) -> None:
    with pytest.raises(InvalidInput) as refused:
        streamed("poet", inputs, parameters)
    assert refused.value.params["name"] == "stream"
