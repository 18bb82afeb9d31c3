"""A random network on the torch engine behind all doors of text generation: what it writes is the same everywhere, whole and in parts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import httpx
import pytest
from tests.gateway.muse import SIZE, TEXTS, data_of, make_model
from tests.gateway.stacks import Stack

from hanlin.networks.config import RECURRENT_WRITERS

pytestmark = pytest.mark.e2e


def of_chat(answer: httpx.Response) -> str:
    return "".join(event["choices"][0]["delta"].get("content", "") for event in data_of(answer) if event["choices"])


def of_hub(answer: httpx.Response) -> str:
    events = data_of(answer)
    text = "".join(event["token"]["text"] for event in events if not event["token"]["special"])
    assert events[-1]["generated_text"] == text
    return text


def of_messages(answer: httpx.Response) -> str:
    return "".join(event["delta"]["text"] for event in data_of(answer) if event["type"] == "content_block_delta")


def of_responses(answer: httpx.Response) -> str:
    return "".join(event["delta"] for event in data_of(answer) if event["type"] == "response.output_text.delta")


Asked = tuple[str, dict, Callable[[httpx.Response], str]]


def ways(said: str, stop: list[str]) -> dict[str, Asked]:
    """Where each door is asked, with what, and how its answer is read."""
    talk = [{"role": "user", "content": said}]
    stops = {"stop": stop} if stop else {}
    task = {"inputs": {"messages": talk}, "parameters": stops}
    chat = {"model": "muse", "messages": talk, "temperature": 0, **stops}
    message = {"model": "muse", "messages": talk, "max_tokens": SIZE, **({"stop_sequences": stop} if stop else {})}
    found: dict[str, Asked] = {
        "task": ("/models/muse", task, lambda answer: answer.json()["generated_text"]),
        "task, streamed": ("/models/muse", task | {"stream": True}, of_hub),
        "hf, streamed": ("/hf/muse", task | {"stream": True}, of_hub),
        "chat": ("/v1/chat/completions", chat, lambda answer: answer.json()["choices"][0]["message"]["content"]),
        "chat, streamed": ("/v1/chat/completions", chat | {"stream": True}, of_chat),
        "chat of hf, streamed": ("/hf/muse/v1/chat/completions", chat | {"stream": True}, of_chat),
        "messages": ("/v1/messages", message, lambda answer: answer.json()["content"][0]["text"]),
        "messages, streamed": ("/v1/messages", message | {"stream": True}, of_messages),
    }
    if not stop:  # which responses do not have
        response = {"model": "muse", "input": talk}
        found["responses"] = ("/v1/responses", response, lambda answer: answer.json()["output"][0]["content"][0]["text"])
        found["responses, streamed"] = ("/v1/responses", response | {"stream": True}, of_responses)
    return found


def told(client: httpx.Client, asked: Asked) -> str:
    path, body, read = asked
    return read(client.post(path, json=body, timeout=60).raise_for_status())


@pytest.mark.parametrize("said", TEXTS)
def test_a_talk_is_answered_alike_at_every_door_whole_and_streamed(muse, said: str) -> None:
    found = {name: told(muse, asked) for name, asked in ways(said, []).items()}
    assert len(set(found.values())) == 1, found
    assert found["task"]
    stop = found["task"][len(found["task"]) // 2 :][:2]
    cut = {name: told(muse, asked) for name, asked in ways(said, [stop, "nowhere"]).items()}
    assert set(cut.values()) == {found["task"][: found["task"].index(stop)]}, cut


def test_texts_are_gone_on_with_alike_too(muse) -> None:
    body = {"model": "muse", "prompt": TEXTS, "max_tokens": SIZE}
    whole = [row["text"] for row in muse.post("/v1/completions", json=body).json()["choices"]]
    streamed = dict.fromkeys(range(len(TEXTS)), "")
    for event in data_of(muse.post("/v1/completions", json=body | {"stream": True})):
        streamed[event["choices"][0]["index"]] += event["choices"][0]["text"]
    native = muse.post("/models/muse", json={"inputs": TEXTS, "parameters": {"max_new_tokens": SIZE}}).json()
    assert whole == [*streamed.values()] == [row["generated_text"] for row in native]


def test_draws_are_repeated_by_their_seed_and_differ_without(muse) -> None:
    def draw(**more: object) -> list[str]:
        body = {"model": "muse", "messages": [{"role": "user", "content": TEXTS[0]}], "temperature": 1.5, "n": 3, **more}
        answer = muse.post("/v1/chat/completions", json=body).raise_for_status().json()
        return [choice["message"]["content"] for choice in answer["choices"]]

    first = draw(seed=7)
    assert first == draw(seed=7)
    assert len(set(first)) == 3, "each answer has a seed of its own"
    assert draw(seed=8)[0] == first[1]
    assert draw() != draw()


def test_a_call_that_cannot_be_answered_is_refused_before_a_stream_begins(muse) -> None:
    body = {"model": "muse", "messages": [{"role": "user", "content": TEXTS[0] * 400}], "stream": True}
    answer = muse.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "text_too_long")
    answer = muse.post("/v1/messages", json=body | {"max_tokens": 4})
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")


FORM = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"], "additionalProperties": False}


def test_an_answer_has_the_form_that_was_asked_for_at_every_door(muse) -> None:
    """Of a network that writes rubbish where it is let."""
    said = {"model": "muse", "messages": [{"role": "user", "content": TEXTS[1]}]}
    schema = {"type": "json_schema", "schema": FORM}
    chat = {**said, "max_tokens": 64, "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": FORM}}}
    whole = muse.post("/v1/chat/completions", json=chat).raise_for_status().json()["choices"][0]["message"]["content"]
    assert json.loads(whole)["a"] in ("x", "y")
    assert of_chat(muse.post("/v1/chat/completions", json=chat | {"stream": True})) == whole
    message = {**said, "max_tokens": 64, "output_config": {"format": schema}}
    assert muse.post("/v1/messages", json=message).raise_for_status().json()["content"][0]["text"] == whole
    response = {"model": "muse", "input": said["messages"], "max_output_tokens": 64, "text": {"format": schema}}
    answer = muse.post("/v1/responses", json=response).raise_for_status().json()
    assert answer["output"][0]["content"][0]["text"] == whole
    digits = chat | {"response_format": {"type": "regex", "value": "[0-9]{4}"}}
    text = muse.post("/v1/chat/completions", json=digits).raise_for_status().json()["choices"][0]["message"]["content"]
    assert len(text) == 4 and text.isdigit()
    wrong = muse.post("/v1/chat/completions", json=chat | {"response_format": {"type": "regex", "value": "[0-9"}})
    assert wrong.status_code == 422, wrong.text


def test_tokens_are_told_of_whole_and_in_parts(muse) -> None:
    body = {"model": "muse", "messages": [{"role": "user", "content": TEXTS[0]}], "temperature": 0, "logprobs": True, "top_logprobs": 3}
    choice = muse.post("/v1/chat/completions", json=body).raise_for_status().json()["choices"][0]
    told = choice["logprobs"]["content"]
    assert "".join(each["token"] for each in told).rstrip("\ufffd") == choice["message"]["content"].rstrip("\ufffd")
    assert all(each["logprob"] <= 0 and each["top_logprobs"][0]["logprob"] == each["logprob"] for each in told), "the likeliest each time"
    events = data_of(muse.post("/v1/chat/completions", json=body | {"stream": True}))
    chances = [event["choices"][0]["logprobs"] for event in events]
    streamed = [each for chance in chances if chance for each in chance["content"]]
    assert [each["token"] for each in streamed] == [each["token"] for each in told]
    assert [each["logprob"] for each in streamed] == pytest.approx([each["logprob"] for each in told], abs=1e-4)
    pushed = body | {"logit_bias": {"5": 100}, "max_tokens": 3}
    biased = muse.post("/v1/chat/completions", json=pushed).raise_for_status().json()["choices"][0]["logprobs"]["content"]
    assert len({each["token"] for each in biased}) == 1


def test_a_stream_whose_talk_was_cut_says_so(muse) -> None:
    talk = [{"role": role, "content": TEXTS[0] * 40} for role in ("user", "assistant") * 3] + [{"role": "user", "content": "x"}]
    body = {"inputs": {"messages": talk}, "parameters": {"truncation": True, "max_new_tokens": 4}}
    whole = muse.post("/models/muse", json=body).raise_for_status()
    assert whole.headers["x-hanlin-truncated"] == "0"
    streamed = muse.post("/models/muse", json=body | {"stream": True})
    assert streamed.headers["x-hanlin-truncated"] == "0"
    assert ": x-hanlin-truncated: 0\n\n" in streamed.text
    response = muse.post(
        "/v1/responses", json={"model": "muse", "input": talk, "truncation": "auto", "stream": True, "max_output_tokens": 4}
    )
    assert response.headers["x-hanlin-truncated"] == "0"
    short = muse.post("/v1/responses", json={"model": "muse", "input": "x", "stream": True, "max_output_tokens": 4})
    assert "truncated:" not in short.text and "x-hanlin-truncated" not in short.headers


@pytest.mark.parametrize("size", [5, 7])
def test_every_poem_that_ends_has_as_many_characters_a_line(muse: httpx.Client, size: int) -> None:
    line = f"[\u4e00-\u9fff]{{{size}}}"
    form = {"type": "regex", "value": f"({line}，{line}。\n){{1}}{line}，{line}。"}
    asked = {"model": "muse", "prompt": "静夜思\n", "max_tokens": 400, "temperature": 1.5, "response_format": form}
    whole = muse.post("/v1/completions", json={**asked, "n": 6, "seed": 3}, timeout=120)
    assert whole.status_code == 200, whole.text
    ended = [choice["text"] for choice in whole.json()["choices"] if choice["finish_reason"] == "stop"]
    assert len(ended) >= 4
    assert all(re.fullmatch(f"({line}[，。]\n?){{4}}", poem) for poem in ended), ended
    assert len({*ended}) > 1
    streamed = muse.post("/v1/completions", json={**asked, "seed": 3, "stream": True}, timeout=120)
    assert "".join(event["choices"][0]["text"] for event in data_of(streamed)) == whole.json()["choices"][0]["text"]


def test_an_answer_keeps_to_a_grammar_at_every_door_that_takes_one(muse) -> None:
    """Nested brackets, which no regular expression can count."""
    talk, grammar = [{"role": "user", "content": TEXTS[1]}], {"type": "lark", "value": 'start: "[" start? "]" | "!"'}
    drawn = {"temperature": 1.5, "seed": 4}
    chat = {"model": "muse", "messages": talk, "max_tokens": 32, "n": 6, "response_format": grammar, **drawn}
    completion = {"model": "muse", "prompt": TEXTS[1], "max_tokens": 32, "n": 6, "response_format": grammar, **drawn}
    task = {"inputs": {"messages": talk}, "parameters": {"max_new_tokens": 32, "grammar": grammar, "do_sample": True, **drawn}}
    told = muse.post("/v1/chat/completions", json=chat).raise_for_status().json()["choices"]
    ended = [choice["message"]["content"] for choice in told if choice["finish_reason"] == "stop"]
    streamed = muse.post("/v1/chat/completions", json=chat | {"n": 1, "stream": True})
    assert of_chat(streamed) == told[0]["message"]["content"]
    more = muse.post("/v1/completions", json=completion).raise_for_status().json()["choices"]
    ended += [choice["text"] for choice in more if choice["finish_reason"] == "stop"]
    for path in ("/models/muse", "/hf/muse"):
        found = muse.post(path, json=task).raise_for_status().json()
        ended += [one["generated_text"] for one in (found if isinstance(found, list) else [found])]
    assert len(ended) >= 8 and len({*ended}) > 2, ended
    for text in ended:
        depth = text.count("[")
        assert text in ("[" * depth + end + "]" * depth for end in ("", "!")), text
    wrong = {"type": "lark", "value": "start: missing"}
    asked = {
        "/v1/chat/completions": chat | {"response_format": wrong}, "/v1/completions": completion | {"response_format": wrong},
        "/models/muse": task | {"parameters": {"grammar": wrong}}, "/hf/muse": task | {"parameters": {"grammar": wrong}},
    }  # fmt: skip
    for path, body in asked.items():
        refused = muse.post(path, json=body)
        error = refused.json()["error"]
        assert refused.status_code == 422 and error["code"] == "constraint_refused" and "missing" in error["message"], (path, error)


def test_each_penalty_changes_what_is_answered(muse) -> None:
    """Three tokens are pushed to the fore: what is written greedily is one of them for ever, until it has to pay for it."""
    body = {"model": "muse", "temperature": 0, "max_tokens": SIZE, "logit_bias": {"70": 30, "71": 29, "72": 28}}
    talk = [{"role": "user", "content": TEXTS[0]}]

    def answer(**more: object) -> str:
        chat = muse.post("/v1/chat/completions", json={**body, "messages": talk, **more})
        return chat.raise_for_status().json()["choices"][0]["message"]["content"]

    plain, present, frequent, repeated = answer(), answer(presence_penalty=2), answer(frequency_penalty=2), answer(repetition_penalty=5)
    assert len({*plain}) == 1 and len(plain) == SIZE
    assert answer(presence_penalty=-2) == answer(frequency_penalty=-2) == plain
    assert present[0] == frequent[0] == plain[0], "nothing was written before"
    assert len({*present}) == 2 and present[-1] != plain[0], "it pays once"
    assert len({*frequent}) == 3 and plain[0] in frequent[frequent.index(next(each for each in frequent if each != plain[0])) :], (
        "it pays again"
    )
    assert repeated not in (plain, present, frequent)
    parameters = {"max_new_tokens": SIZE, "logit_bias": body["logit_bias"]}
    for more, expected in (({"frequency_penalty": 2}, frequent), ({"repetition_penalty": 5}, repeated)):
        told = muse.post("/hf/muse", json={"inputs": {"messages": talk}, "parameters": parameters | more}).raise_for_status().json()
        assert (told[0] if isinstance(told, list) else told)["generated_text"] == expected


def test_recurrent_networks_stream_at_the_same_doors(writers: Stack) -> None:
    kinds = [name for name in RECURRENT_WRITERS if "gru" not in name]
    numbers = []
    for kind in kinds:
        make_model(writers.home / "models" / f"{kind}:1", kind)
        numbers.append(writers.deploy(f"{kind}:1", kind, variant="torch-fp32"))
    for number in numbers:
        writers.wait_state(number, "ready")
    told = set()
    for kind in kinds:
        drawn = {"model": kind, "temperature": 1.2, "seed": 5, "max_tokens": SIZE}
        for path, said in (
            ("/v1/completions", {"prompt": TEXTS[1]}),
            ("/v1/chat/completions", {"messages": [{"role": "user", "content": TEXTS[1]}]}),
        ):
            whole = writers.client.post(path, json=drawn | said).raise_for_status().json()
            streamed = data_of(writers.client.post(path, json={**drawn, **said, "stream": True, "stream_options": {"include_usage": True}}))
            choices = [event["choices"][0] for event in streamed if event["choices"]]
            text = "".join(choice["text"] if "text" in choice else choice["delta"].get("content", "") for choice in choices)
            choice = whole["choices"][0]
            assert text == (choice["text"] if "text" in choice else choice["message"]["content"]) != ""
            assert len(choices) > 3, "in parts"
            assert choices[-1]["finish_reason"] == choice["finish_reason"]
            assert streamed[-1]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"] > 0
            told.add(text)
    assert len(told) == 4, "each network thinks its own"
