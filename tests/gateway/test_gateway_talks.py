"""Doors of talks through a server: the same talk is answered alike at each, mistakes get the same verdicts, keys stand where clients want.

Bodies and events alone: `test_gateway_generation.py` and its neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from tests.gateway.test_gateway_mistakes import BODIES, CASES, INPUTS, verdict_of
from tests.gateway.ways import TALKS, Through

OF_BODIES = [name for name in CASES if name not in INPUTS and not name.endswith(" for texts")]
ALONE = ("", " \n\t", "\u3000", "\u0301\u0302", "\x01\x02\x7f", "\u200b")
ANSWERS = [way for way in TALKS if not way.name.startswith("count")]


@pytest.fixture(scope="module", autouse=True)
def muse(doors) -> Iterator[httpx.Client]:
    """A client of a server with an endpoint that talks."""
    with httpx.Client(
        base_url=doors.url, headers={"authorization": "Bearer hl_app", "content-type": "application/json"}, timeout=30
    ) as found:
        yield found


@pytest.mark.parametrize("said", ["good bad w20", "w30", "w40 w41 w42 w43 w44 w45 w46 w47 w48 w49"])
def test_the_same_talk_is_answered_alike_at_every_door(muse, said: str) -> None:
    answers = {way.name: way.numbers(way.ask(muse, said).raise_for_status().json()) for way in ANSWERS}
    assert len(set(map(str, answers.values()))) == 1, answers


def test_the_tokens_of_a_talk_are_those_that_are_read(muse) -> None:
    body = {"model": "muse", "system": "w20 w21", "messages": [{"role": "user", "content": "good bad"}]}
    counted = muse.post("/v1/messages/count_tokens", json=body).json()["input_tokens"]
    asked = muse.post("/v1/messages", json=body | {"max_tokens": 8}).json()
    assert counted == asked["usage"]["input_tokens"] == 9, "two words, two marks of each role, and the mark that asks"
    long = body | {"messages": [{"role": "user", "content": "good " * 100}]}
    assert muse.post("/v1/messages/count_tokens", json=long).json()["input_tokens"] == 107
    response = {"model": "muse", "instructions": "w20 w21", "input": "good bad"}
    told = muse.post("/v1/responses/input_tokens", json=response | {"reasoning": {}})
    assert (told.json(), told.headers["x-hanlin-ignored"]) == ({"object": "response.input_tokens", "input_tokens": 9}, "reasoning")


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/chat/completions", "/v1/responses", "/v1/responses/input_tokens"]
)
def test_a_talk_that_asks_nothing_is_neither_answered_nor_counted(muse, path: str) -> None:
    talk = [{"role": "user", "content": "good"}, {"role": "assistant", "content": "bad"}]
    body = {"model": "muse", "input" if "responses" in path else "messages": talk}
    answer = muse.post(path, json=body | ({"max_tokens": 4} if path == "/v1/messages" else {}))
    assert verdict_of(answer) == (422, "invalid_messages")


@pytest.mark.parametrize("way", TALKS[1:], ids=lambda way: way.name)
@pytest.mark.parametrize("name", OF_BODIES)
def test_the_same_mistake_gets_the_same_verdict(muse, way: Through, name: str) -> None:
    make, verdict = CASES[name]
    path, body, headers = make(way)
    assert verdict_of(muse.post(path, content=body, headers=headers)) == verdict


@pytest.mark.parametrize("way", TALKS[1:], ids=lambda way: way.name)
@pytest.mark.parametrize("said", ALONE, ids=ascii)
def test_a_message_that_says_nothing_is_refused(muse, way: Through, said: str) -> None:
    assert verdict_of(way.ask(muse, said)) == (422, "empty_text")


@pytest.mark.parametrize("way", TALKS[1:], ids=lambda way: way.name)
def test_half_a_character_is_refused(muse, way: Through) -> None:
    body = json.dumps(way.body("a\ud800b"))
    assert verdict_of(muse.post(way.where(), content=body)) == (422, "invalid_unicode")


@pytest.mark.parametrize("way", ANSWERS[1:], ids=lambda way: way.name)
def test_a_talk_that_is_too_long_is_refused_with_counts(muse, way: Through) -> None:
    answer = way.ask(muse, "good " * 70)
    assert verdict_of(answer) == (413, "text_too_long")
    assert "73 tokens" in answer.text
    assert "64" in answer.text


def test_an_endpoint_of_another_task_is_refused(muse) -> None:
    for way in TALKS[1:]:
        answer = way.ask(muse, "good", endpoint="vectors")
        assert verdict_of(answer) == (422, "endpoint_has_other_task")


def test_a_key_of_anthropics_clients_stands_in_a_header_of_its_own(doors) -> None:
    body = {"model": "muse", "messages": [{"role": "user", "content": "good"}], "max_tokens": 4}
    for headers, status in (
        ({"x-api-key": "hl_app"}, 200),
        ({"x-api-key": "hl_wrong"}, 401),
        ({"authorization": "Bearer hl_app"}, 200),
        ({}, 401),
    ):
        answer = httpx.post(f"{doors.url}/v1/messages", json=body, headers=headers, timeout=30)
        assert answer.status_code == status
        if status == 401:
            assert (answer.json()["type"], answer.json()["error"]["type"]) == ("error", "authentication_error")
    chat = {"model": "muse", "messages": body["messages"]}
    elsewhere = httpx.post(f"{doors.url}/v1/chat/completions", json=chat, headers={"x-api-key": "hl_app"}, timeout=30)
    assert elsewhere.status_code == 401, "only where its protocol has it"


def test_what_is_ignored_is_named(muse) -> None:
    body = {"model": "muse", "messages": [{"role": "user", "content": "good"}], "user": "me", "parallel_tool_calls": True, "store": False}
    assert muse.post("/v1/chat/completions", json=body).headers["x-hanlin-ignored"] == "user"


def test_several_answers_and_chances(muse) -> None:
    body = {"model": "muse", "messages": [{"role": "user", "content": "good bad"}], "n": 3, "logprobs": True, "top_logprobs": 2}
    told = muse.post("/v1/chat/completions", json=body).raise_for_status().json()
    assert [choice["index"] for choice in told["choices"]] == [0, 1, 2]
    for choice in told["choices"]:
        content = choice["logprobs"]["content"]
        assert "".join(each["token"] for each in content) == choice["message"]["content"]
        assert all(len(each["top_logprobs"]) == 2 for each in content)
    assert told["usage"]["prompt_tokens"] == 5
    assert told["usage"]["completion_tokens"] == sum(len(choice["logprobs"]["content"]) for choice in told["choices"])


def test_a_word_ends_an_answer_at_every_door(muse) -> None:
    """The endpoint writes what it has read backwards."""
    talk = [{"role": "user", "content": "w20 w21 w22"}]
    chat = muse.post("/v1/chat/completions", json={"model": "muse", "messages": talk, "stop": "w21"}).json()
    message = muse.post("/v1/messages", json={"model": "muse", "messages": talk, "max_tokens": 8, "stop_sequences": ["w21"]}).json()
    assert chat["choices"][0]["message"]["content"] == message["content"][0]["text"] == " w195 w194 w22 "
    assert chat["choices"][0]["finish_reason"] == "stop"
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "w21")
    assert chat["usage"]["completion_tokens"] == message["usage"]["output_tokens"] == 4


def test_there_are_cases_of_bodies() -> None:
    assert len(OF_BODIES) > 90
    assert set(BODIES) <= set(OF_BODIES)
