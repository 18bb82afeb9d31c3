"""Completions, Hugging Face's streams, and what all doors of text generation have in common, without a server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.gateway.door_talk import ODD, PIECES, ROW, TOKENS, TOPS, chat, complete, events, message, parsed, respond, written

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.gateway.door import Ask
from hanlin.gateway.hf_stream import streamed


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
