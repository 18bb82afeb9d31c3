"""Tokens of texts and text of tokens, through the doors for clients of text-embeddings-inference."""

from __future__ import annotations

import threading

import pytest

PATHS = {"sentiment": "/tei/sentiment", "vectors": "/tei/vectors", "the default": ""}


@pytest.mark.parametrize("at", PATHS.values(), ids=PATHS)
def test_texts_become_tokens_and_tokens_become_texts(doors, at: str) -> None:
    answer = doors.client.post(f"{at}/tokenize", json={"inputs": ["good w9", "bad"]})
    assert [[token["text"] for token in row] for row in answer.json()] == [["good", "w9"], ["bad"]]
    assert answer.json()[0][1] == {"id": 9, "text": "w9", "special": False, "start": 5, "stop": 7}
    ids = [[token["id"] for token in row] for row in answer.json()]
    assert doors.client.post(f"{at}/decode", json={"ids": ids}).json() == ["good w9", "bad"]
    assert doors.client.post(f"{at}/decode", json={"ids": ids[0]}).json() == ["good w9"]


def test_a_single_text_is_a_list_of_one(doors) -> None:
    assert len(doors.client.post("/tei/vectors/tokenize", json={"inputs": "good bad"}).json()) == 1


def test_long_texts_hold_nobody_up_and_come_whole(doors) -> None:
    """They are told apart beside the worker's loop, which answers others meanwhile."""
    answers: list[object] = []
    text = "good bad " * 5000

    def ask() -> None:
        answers.append(doors.client.post("/tei/sentiment/tokenize", json={"inputs": [text] * 8}).json())

    asking = threading.Thread(target=ask)
    asking.start()
    while asking.is_alive():
        assert doors.post("good").status_code == 200
    assert [len(row) for row in answers[0]] == [10_000] * 8  # type: ignore[attr-defined]


def test_what_is_asked_of_a_tokenizer_counts_as_tokens_and_is_timed(doors) -> None:
    answer = doors.client.post("/tei/sentiment/tokenize", json={"inputs": "good bad"})
    assert "encode;dur=" in answer.headers["server-timing"]
    assert answer.headers["x-hanlin-model"] == "m:1 fake-fp32"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("tokenize", {"inputs": ""}, "empty_text"),
        ("tokenize", {"inputs": "good", "prompt_name": "query"}, "field_not_taken"),
        ("tokenize", {"inputs": "good", "add_special_tokens": "yes"}, "invalid_parameter"),
        ("tokenize", {"text": "good"}, "unknown_field"),
        ("decode", {"ids": [5000]}, "unknown_token_id"),
        ("decode", {"ids": "good"}, "invalid_token_ids"),
        ("decode", {}, "missing_field"),
    ],
)
def test_what_is_wrong_is_told(doors, path: str, body: dict, code: str) -> None:
    answer = doors.client.post(f"/tei/sentiment/{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
