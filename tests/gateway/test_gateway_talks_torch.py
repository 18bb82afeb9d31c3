"""A random network on the torch engine behind all doors of text generation: what it writes is the same everywhere, whole and in parts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import torch
from torch import nn

from hanlin.generation import GenerationSettings
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.networks.config import NetworkConfig
from hanlin.networks.loading import build_generator, save_network
from hanlin.tasks.chat_form import CHATML, CHATML_TOKENS
from hanlin.tasks.spec import ModelSpec

pytestmark = pytest.mark.e2e
TEXTS = ["床前明月光，疑是地上霜。", "It's a fine day, isn't it? 🙂🙃", "Wie geht's? ¿Qué tal?", "举头望明月"]
SIZE = 24  # tokens


@pytest.fixture(scope="module")
def client(make_stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    stack = make_stack(tmp_path_factory.mktemp("random") / "home")
    make_model(stack.home / "models" / "muse:1")
    try:
        stack.wait_state(stack.deploy("muse:1", "muse", variant="torch-fp32"), "ready")
        yield stack.client
    finally:
        stack.close()


def make_model(folder: Path) -> None:
    """Weights drawn so wide that what is written wanders."""
    tokenizer = train_tokenizer(TEXTS, "byte-bpe", 320)
    tokenizer.add_special_tokens([*CHATML_TOKENS])
    folder.mkdir(parents=True)
    save_tokenizer(tokenizer, folder)
    torch.manual_seed(5)
    sizes = {"embedding_size": 32, "hidden_size": 32, "num_decoder_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    end = tokenizer.token_to_id("<|im_end|>")
    network = build_generator(
        NetworkConfig(
            "hanlin-decoder", tokenizer.get_vocab_size(), **sizes, max_position_embeddings=2048, bos_token_id=end, eos_token_id=end
        )
    )  # fmt: skip
    for name, weight in network.named_parameters():
        if weight.dim() > 1 and "norm" not in name:
            nn.init.normal_(weight, std=0.3)
    save_network(network, folder)
    settings = GenerationSettings(max_new_tokens=SIZE, stop_ids=(end,))
    ModelSpec("text-generation", (), 2048, 0, generation=settings, chat=replace(CHATML, tools="hermes")).save(folder)


def data_of(answer: httpx.Response) -> list[dict]:
    """The JSON of each event."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


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
def test_a_talk_is_answered_alike_at_every_door_whole_and_streamed(client, said: str) -> None:
    found = {name: told(client, asked) for name, asked in ways(said, []).items()}
    assert len(set(found.values())) == 1, found
    assert found["task"]
    stop = found["task"][len(found["task"]) // 2 :][:2]
    cut = {name: told(client, asked) for name, asked in ways(said, [stop, "nowhere"]).items()}
    assert set(cut.values()) == {found["task"][: found["task"].index(stop)]}, cut


def test_texts_are_gone_on_with_alike_too(client) -> None:
    body = {"model": "muse", "prompt": TEXTS, "max_tokens": SIZE}
    whole = [row["text"] for row in client.post("/v1/completions", json=body).json()["choices"]]
    streamed = dict.fromkeys(range(len(TEXTS)), "")
    for event in data_of(client.post("/v1/completions", json=body | {"stream": True})):
        streamed[event["choices"][0]["index"]] += event["choices"][0]["text"]
    native = client.post("/models/muse", json={"inputs": TEXTS, "parameters": {"max_new_tokens": SIZE}}).json()
    assert whole == [*streamed.values()] == [row["generated_text"] for row in native]


def test_draws_are_repeated_by_their_seed_and_differ_without(client) -> None:
    def draw(**more: object) -> list[str]:
        body = {"model": "muse", "messages": [{"role": "user", "content": TEXTS[0]}], "temperature": 1.5, "n": 3, **more}
        answer = client.post("/v1/chat/completions", json=body).raise_for_status().json()
        return [choice["message"]["content"] for choice in answer["choices"]]

    first = draw(seed=7)
    assert first == draw(seed=7)
    assert len(set(first)) == 3, "each answer has a seed of its own"
    assert draw(seed=8)[0] == first[1]
    assert draw() != draw()


def test_a_call_that_cannot_be_answered_is_refused_before_a_stream_begins(client) -> None:
    body = {"model": "muse", "messages": [{"role": "user", "content": TEXTS[0] * 400}], "stream": True}
    answer = client.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "text_too_long")
    answer = client.post("/v1/messages", json=body | {"max_tokens": 4})
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")


FORM = {"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"], "additionalProperties": False}


def test_an_answer_has_the_form_that_was_asked_for_at_every_door(client) -> None:
    """Of a network that writes rubbish where it is let."""
    said = {"model": "muse", "messages": [{"role": "user", "content": TEXTS[1]}]}
    schema = {"type": "json_schema", "schema": FORM}
    chat = {**said, "max_tokens": 64, "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": FORM}}}
    whole = client.post("/v1/chat/completions", json=chat).raise_for_status().json()["choices"][0]["message"]["content"]
    assert json.loads(whole)["a"] in ("x", "y")
    assert of_chat(client.post("/v1/chat/completions", json=chat | {"stream": True})) == whole
    message = {**said, "max_tokens": 64, "output_config": {"format": schema}}
    assert client.post("/v1/messages", json=message).raise_for_status().json()["content"][0]["text"] == whole
    response = {"model": "muse", "input": said["messages"], "max_output_tokens": 64, "text": {"format": schema}}
    answer = client.post("/v1/responses", json=response).raise_for_status().json()
    assert answer["output"][0]["content"][0]["text"] == whole
    digits = chat | {"response_format": {"type": "regex", "value": "[0-9]{4}"}}
    text = client.post("/v1/chat/completions", json=digits).raise_for_status().json()["choices"][0]["message"]["content"]
    assert len(text) == 4 and text.isdigit()
    wrong = client.post("/v1/chat/completions", json=chat | {"response_format": {"type": "regex", "value": "[0-9"}})
    assert wrong.status_code == 422, wrong.text


def test_tokens_are_told_of_whole_and_in_parts(client) -> None:
    body = {"model": "muse", "messages": [{"role": "user", "content": TEXTS[0]}], "temperature": 0, "logprobs": True, "top_logprobs": 3}
    choice = client.post("/v1/chat/completions", json=body).raise_for_status().json()["choices"][0]
    told = choice["logprobs"]["content"]
    assert "".join(each["token"] for each in told).rstrip("\ufffd") == choice["message"]["content"].rstrip("\ufffd")
    assert all(each["logprob"] <= 0 and each["top_logprobs"][0]["logprob"] == each["logprob"] for each in told), "the likeliest each time"
    events = data_of(client.post("/v1/chat/completions", json=body | {"stream": True}))
    chances = [event["choices"][0]["logprobs"] for event in events]
    streamed = [each for chance in chances if chance for each in chance["content"]]
    assert [each["token"] for each in streamed] == [each["token"] for each in told]
    assert [each["logprob"] for each in streamed] == pytest.approx([each["logprob"] for each in told], abs=1e-4)
    pushed = body | {"logit_bias": {"5": 100}, "max_tokens": 3}
    biased = client.post("/v1/chat/completions", json=pushed).raise_for_status().json()["choices"][0]["logprobs"]["content"]
    assert len({each["token"] for each in biased}) == 1


PLACES = {"type": "object", "properties": {"at": {"$ref": "#/$defs/place"}}, "required": ["at"], "additionalProperties": False,
          "$defs": {"place": {"enum": ["here", "there"]}}}  # fmt: skip
GO = {"name": "go", "description": "Goes.", "parameters": PLACES}
TOOLS = [{"type": "function", "function": GO}, {"type": "function", "function": {"name": "stay"}}]


def check_call(name: str, arguments: str | dict) -> None:
    """It is one of the tools', with arguments by its schema."""
    given = json.loads(arguments) if isinstance(arguments, str) else arguments
    assert (name, given) in [("stay", {}), ("go", {"at": "here"}), ("go", {"at": "there"})]


def test_a_call_that_is_asked_for_is_made_at_every_door(client) -> None:
    """Of a network that writes rubbish where it is let, whole and streamed."""
    said = [{"role": "user", "content": TEXTS[1]}]
    for choice in ("required", {"type": "function", "function": {"name": "go"}}):
        chat = {"model": "muse", "messages": said, "tools": TOOLS, "tool_choice": choice, "max_tokens": 200, "parallel_tool_calls": False}
        whole = client.post("/v1/chat/completions", json=chat).raise_for_status().json()["choices"][0]
        (call,) = whole["message"]["tool_calls"]
        assert (whole["finish_reason"], whole["message"]["content"]) == ("tool_calls", None)
        check_call(call["function"]["name"], call["function"]["arguments"])
        told = data_of(client.post("/v1/chat/completions", json=chat | {"stream": True, "stop": ["name", "o"]}))
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
        (item,) = client.post("/v1/responses", json=response).raise_for_status().json()["output"]
        assert (item["type"], item["name"], item["arguments"]) == ("function_call", *call["function"].values())
        if choice == "required":
            told = data_of(client.post("/v1/responses", json=response | {"stream": True}))
            assert told[-1]["response"]["output"][0]["arguments"] == item["arguments"]
        used = [{"name": "go", "input_schema": PLACES}, {"name": "stay", "input_schema": {"type": "object", "additionalProperties": False}}]
        asked = {"type": "any"} if choice == "required" else {"type": "tool", "name": "go"}
        message = {"model": "muse", "messages": said, "max_tokens": 200, "tools": used}
        message |= {"tool_choice": asked | {"disable_parallel_tool_use": True}}
        found = client.post("/v1/messages", json=message).raise_for_status().json()
        assert (found["stop_reason"], [block["type"] for block in found["content"]]) == ("tool_use", ["tool_use"])
        check_call(found["content"][0]["name"], found["content"][0]["input"])
    several = client.post("/v1/chat/completions", json=chat | {"tool_choice": "required", "parallel_tool_calls": True, "temperature": 1})
    for call in several.raise_for_status().json()["choices"][0]["message"].get("tool_calls", []):
        check_call(call["function"]["name"], call["function"]["arguments"])
    cut = client.post("/v1/chat/completions", json=chat | {"max_tokens": 4}).raise_for_status().json()["choices"][0]
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
def test_a_call_that_cannot_be_asked_for_is_refused(client, more: dict, code: str) -> None:
    body = {"model": "muse", "messages": [{"role": "user", "content": "x"}], "tools": TOOLS, "max_tokens": 50, **more}
    answer = client.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def test_a_response_goes_on_from_calls_and_what_tools_answered(client) -> None:
    """The same talk as chat completions read it."""
    call = {"type": "function_call", "call_id": "c1", "name": "go", "arguments": '{"at": "here"}'}
    items = [{"role": "user", "content": "x"}, call, {"type": "function_call_output", "call_id": "c1", "output": "gone"}]
    flat = [{"type": "function", **tool["function"]} for tool in TOOLS]
    response = client.post("/v1/responses", json={"model": "muse", "input": items, "tools": flat, "max_output_tokens": 8})
    calls = [{"id": "c1", "type": "function", "function": {"name": "go", "arguments": '{"at": "here"}'}}]
    talk = [
        items[0],
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "gone"},
    ]
    chat = client.post("/v1/chat/completions", json={"model": "muse", "messages": talk, "tools": TOOLS, "max_tokens": 8})
    told = response.raise_for_status().json()
    assert told["usage"]["input_tokens"] == chat.raise_for_status().json()["usage"]["prompt_tokens"]
    assert told["output"][0]["content"][0]["text"] == chat.json()["choices"][0]["message"]["content"]


def test_a_stream_whose_talk_was_cut_says_so(client) -> None:
    talk = [{"role": role, "content": TEXTS[0] * 40} for role in ("user", "assistant") * 3] + [{"role": "user", "content": "x"}]
    body = {"inputs": {"messages": talk}, "parameters": {"truncation": True, "max_new_tokens": 4}}
    whole = client.post("/models/muse", json=body).raise_for_status()
    assert whole.headers["x-hanlin-truncated"] == "0"
    streamed = client.post("/models/muse", json=body | {"stream": True})
    assert streamed.headers["x-hanlin-truncated"] == "0"
    assert ": x-hanlin-truncated: 0\n\n" in streamed.text
    response = client.post(
        "/v1/responses", json={"model": "muse", "input": talk, "truncation": "auto", "stream": True, "max_output_tokens": 4}
    )
    assert response.headers["x-hanlin-truncated"] == "0"
    short = client.post("/v1/responses", json={"model": "muse", "input": "x", "stream": True, "max_output_tokens": 4})
    assert "truncated:" not in short.text and "x-hanlin-truncated" not in short.headers


@pytest.mark.parametrize("size", [5, 7])
def test_every_poem_that_ends_has_as_many_characters_a_line(client: httpx.Client, size: int) -> None:
    line = f"[\u4e00-\u9fff]{{{size}}}"
    form = {"type": "regex", "value": f"({line}，{line}。\n){{1}}{line}，{line}。"}
    asked = {"model": "muse", "prompt": "静夜思\n", "max_tokens": 400, "temperature": 1.5, "response_format": form}
    whole = client.post("/v1/completions", json={**asked, "n": 6, "seed": 3}, timeout=120)
    assert whole.status_code == 200, whole.text
    ended = [choice["text"] for choice in whole.json()["choices"] if choice["finish_reason"] == "stop"]
    assert len(ended) >= 4
    assert all(re.fullmatch(f"({line}[，。]\n?){{4}}", poem) for poem in ended), ended
    assert len({*ended}) > 1
    streamed = client.post("/v1/completions", json={**asked, "seed": 3, "stream": True}, timeout=120)
    assert "".join(event["choices"][0]["text"] for event in data_of(streamed)) == whole.json()["choices"][0]["text"]
