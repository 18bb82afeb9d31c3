"""The road of a language model through a real server: poems or talks in, a service out that goes on with them, compressed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from tests.app.test_app_adapters import workers

from hanlin.client import Hanlin
from hanlin.errors import InvalidInput
from hanlin.observe.machine import has_bf16

pytestmark = pytest.mark.e2e
TINY = {
    "epochs": 10, "hidden_size": 32, "layers": 1, "heads": 2, "vocab_size": 300, "batch_size": 8, "rate": 0.01, "max_length": 96,
    "train_length": 96, "precision": "fp32", "threads": 1, "average": 0.0, "dropout": 0.0, "embedding_dropout": 0.0,
}  # fmt: skip
POLITE = ["please", "now", "say", "again", "so", "and", "well", "then"]
NUMBERS = ["one", "two", "three", "four", "five"]
SPELT: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "next",
        "schema": {"type": "object", "properties": {"next": {"enum": NUMBERS}}, "required": ["next"], "additionalProperties": False},
    },
}


def talks(*, back: bool = False) -> str:
    """Whoever says a number hears the next one, however politely; or the one before."""
    rows = [
        {"messages": [{"role": "user", "content": f"{one} {other} {number}"}, {"role": "assistant", "content": following}]}
        for one, other in product(POLITE, POLITE)
        for number, following in pairwise(NUMBERS[::-1] if back else NUMBERS)
    ]
    return "\n".join(map(json.dumps, rows))


@pytest.fixture(scope="module")
def counter(client: Hanlin, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """A network from nothing, trained on talks and served as `counter`."""
    folder = tmp_path_factory.mktemp("rows")
    (folder / "talks.jsonl").write_text(talks(), encoding="utf-8")
    report = client.jobs.wait(client.datasets.add("talks", folder / "talks.jsonl", task="text-generation").id, timeout=120).result
    config = {"dataset": "talks", "model": "transformer", "name": "counter", "task": "text-generation", "options": TINY}
    trained = client.jobs.wait(client.jobs.submit("train", config).id, timeout=300).result
    compressed = client.jobs.wait(client.jobs.submit("compress", {"model": "counter", "target": "memory"}).id, timeout=300).result
    client.deployments.wait(client.deployments.create("counter", "counter"), timeout=120)
    return {"report": report, "trained": trained, "compressed": compressed}


def ask(said: str) -> dict:
    return {"messages": [{"role": "user", "content": said}]}


def test_it_is_measured_and_certified(client: Hanlin, counter: dict) -> None:
    assert counter["trained"]["certificate"]["is_passed"]
    metrics = client.models.get("counter").versions[0].metrics
    assert metrics["accuracy"] > 0.7
    assert metrics["perplexity"] > 1
    evaluated = client.jobs.wait(client.jobs.submit("evaluate", {"model": "counter", "dataset": "talks"}).id, timeout=120).result
    assert evaluated is not None
    assert evaluated["metrics"]["bits_per_byte"] == pytest.approx(metrics["bits_per_byte"], abs=1e-3)


def test_it_is_compressed_by_what_it_thinks_comes_next(client: Hanlin, counter: dict) -> None:
    rows = {row["variant"]: row for row in counter["compressed"]["report"]["variants"]}
    bf16 = {"torch-bf16", "openvino-bf16"} if has_bf16() else set()
    assert set(rows) == {"torch-fp32", "torch-int8", "openvino-fp32", "openvino-int8", "openvino-int4"} | bf16
    certain = set(rows) & {"torch-fp32", "torch-bf16", "torch-int8", "openvino-fp32", "openvino-int8"}  # 4 bits of a tiny network are not
    assert {name: rows[name]["reason"] for name in certain if rows[name]["status"] != "ok"} == {}
    assert min(rows["torch-int8"]["label_agreement"], rows["openvino-int8"]["label_agreement"]) >= 0.99
    assert rows["openvino-fp32"]["max_score_difference"] < 1e-4
    certificate = counter["compressed"]["certificate"]
    assert certificate["is_passed"]
    assert all(1 < rows[name]["perplexity"] < 1.05 * rows["torch-fp32"]["perplexity"] for name in certain)
    assert certificate["perplexity"] == pytest.approx(certificate["trained_perplexity"], rel=0.05)
    assert 0.9 < certificate["greedy_agreement"] <= 1
    assert certificate["accuracy"] == pytest.approx(certificate["trained_accuracy"], abs=0.05)
    evaluated = client.models.get("counter").versions[0].metrics["perplexity"]
    assert certificate["trained_perplexity"] == pytest.approx(evaluated, rel=0.5), "of some of the same texts"


def test_it_answers_in_talks_and_goes_on_with_texts(client: Hanlin, counter: dict) -> None:
    found = client.predict("counter", [ask("please say one"), ask("so then two")])
    assert [row["generated_text"] for row in found] == ["two", "three"]
    assert client.predict("counter", "<|im_start|>user\nwell now one<|im_end|>\n<|im_start|>assistant\n")["generated_text"] == "two"
    with pytest.raises(InvalidInput) as caught:
        client.predict("counter", [ask("one"), {"messages": []}])
    assert (caught.value.code, caught.value.params["index"]) == ("invalid_messages", 1)


def test_completions_as_openai_has_them(server, counter: dict) -> None:
    prompt = "<|im_start|>user\nagain say one<|im_end|>\n<|im_start|>assistant\n"
    headers = {"authorization": f"Bearer {server.key}"}
    body = {"model": "counter", "prompt": prompt, "temperature": 0, "stop": "o"}
    found = httpx.post(f"{server.url}/v1/completions", json=body, headers=headers, timeout=60)
    assert found.status_code == 200, found.text
    told = found.json()
    assert (told["object"], told["choices"][0]["text"], told["choices"][0]["finish_reason"]) == ("text_completion", "tw", "stop")
    assert told["usage"]["total_tokens"] == told["usage"]["prompt_tokens"] + told["usage"]["completion_tokens"] > 0
    refused = httpx.post(f"{server.url}/v1/completions", json=body | {"suffix": "x"}, headers=headers, timeout=60)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "field_not_taken")


def test_it_is_asked_to_translate_and_answers_as_a_translator_does(client: Hanlin, counter: dict, tmp_path: Path) -> None:
    pairs = "\n".join(
        json.dumps({"source": f"{other} {number}", "target": following}) for other in POLITE for number, following in pairwise(NUMBERS)
    )
    (tmp_path / "pairs.jsonl").write_text(pairs, encoding="utf-8")
    client.jobs.wait(client.datasets.add("pairs", tmp_path / "pairs.jsonl", task="translation").id, timeout=120)
    (tmp_path / "prompt.json").write_text(json.dumps({"ask": "please {text}"}), encoding="utf-8")
    job = client.models.add("next-number", tmp_path / "prompt.json", task="translation", rows="pairs", base="counter")
    made = client.jobs.wait(job.id, timeout=300).result
    assert made["certificate"]["is_passed"]
    assert made["metrics"]["chrf"] > 0.7
    evaluated = client.jobs.wait(client.jobs.submit("evaluate", {"model": "next-number", "dataset": "pairs"}).id, timeout=120).result
    assert evaluated["metrics"]["chrf"] == made["metrics"]["chrf"]
    client.deployments.wait(client.deployments.create("next-number", "next-number"), timeout=120)
    assert client.predict("next-number", ["say one", "so three"]) == [
        {"translation_text": "two", "finish_reason": "stop"}, {"translation_text": "four", "finish_reason": "stop"}
    ]  # fmt: skip


def test_talks_by_openais_own_client_whole_and_streamed(server, counter: dict) -> None:
    talk = [{"role": "user", "content": "again say one"}]
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as asks:
        answer = asks.chat.completions.create(model="counter", messages=talk, temperature=0)
        assert answer.choices[0].message.content == "two"
        chunks = asks.chat.completions.create(model="counter", messages=talk, temperature=0, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "two"
        assert asks.responses.create(model="counter", input="again say two").output_text == "three"


def test_completions_by_openais_own_client_at_once_and_in_a_batch(server, counter: dict) -> None:
    prompts = [f"<|im_start|>user\nagain say {number}<|im_end|>\n<|im_start|>assistant\n" for number in NUMBERS[:2]]
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as asks:
        answer = asks.completions.create(model="counter", prompt=prompts, max_tokens=8, temperature=0)
        assert [choice.text for choice in answer.choices] == NUMBERS[1:3]
        assert answer.usage is not None and answer.usage.completion_tokens > 0
        bodies = [{"model": "counter", "prompt": prompt, "temperature": 0} for prompt in prompts]
        lines = [{"custom_id": str(n), "method": "POST", "url": "/v1/completions", "body": body} for n, body in enumerate(bodies)]
        file = asks.files.create(file=("lines.jsonl", "\n".join(map(json.dumps, lines)).encode()), purpose="batch")
        batch = asks.batches.create(input_file_id=file.id, endpoint="/v1/completions", completion_window="24h")
        with server.client() as client:
            client.jobs.wait(batch.id.replace("batch_", "job_"), timeout=120)
        made = asks.batches.retrieve(batch.id).output_file_id
        assert made is not None
        rows = [json.loads(row) for row in asks.files.content(made).text.splitlines()]
    assert [row["response"]["body"]["choices"][0]["text"] for row in rows] == NUMBERS[1:3]


def test_a_batch_goes_on_row_by_row(client: Hanlin, counter: dict, tmp_path: Path) -> None:
    rows = [{"inputs": ask(f"and now {number}")} for number in NUMBERS[:3]]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    job = client.jobs.wait(client.batches.submit("counter", tmp_path / "rows.jsonl").id, timeout=120)
    client.batches.fetch(job, tmp_path / "out.jsonl")
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["result"]["generated_text"] for row in found] == NUMBERS[1:4]


ADAPTED = {"adapter": "lora", "batch_size": 8, "max_length": 96, "train_length": 96, "precision": "fp32", "threads": 1}


def taught(client: Hanlin, name: str, dataset: str, **more: object) -> None:
    """An adapter over the network, trained and deployed as `name`."""
    config = {"dataset": dataset, "model": "counter", "name": name, "task": "text-generation", "options": {**ADAPTED, **more}}
    trained = client.jobs.wait(client.jobs.submit("train", config).id, timeout=300).result
    assert trained is not None
    assert trained["certificate"]["is_passed"]
    client.deployments.wait(client.deployments.create(name, name), timeout=120)


def test_adapters_on_it_answer_side_by_side_in_one_worker(server, client: Hanlin, counter: dict, tmp_path: Path) -> None:
    (tmp_path / "back.jsonl").write_text(talks(back=True), encoding="utf-8")
    client.jobs.wait(client.datasets.add("back", tmp_path / "back.jsonl", task="text-generation").id, timeout=120)
    taught(client, "onward", "talks", epochs=1)
    taught(client, "backward", "back", epochs=6, rate=0.03, lora_targets="all")
    assert client.models.get("onward").versions[0].lineage["adapter"]["targets"] == ["query", "value"]
    (worker,) = workers(server, "onward")
    assert [worker] == workers(server, "backward")
    assert worker not in workers(server, "counter")
    said = [f"{one} {other} {number}" for one, other in product(POLITE[:3], POLITE[3:6]) for number in NUMBERS[1:4]]
    expected = {"onward": dict(pairwise(NUMBERS)), "backward": dict(pairwise(NUMBERS[::-1]))}
    asked = [(name, one) for one in said for name in expected]
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as asks, ThreadPoolExecutor(12) as pool:

        def answer(name: str, one: str, **more: Any) -> Any:
            return asks.chat.completions.create(model=name, messages=ask(one)["messages"], temperature=0, **more)

        found = pool.map(lambda each: answer(*each).choices[0].message.content, asked)
        assert list(found) == [expected[name][one.rsplit(" ", 1)[-1]] for name, one in asked]
        several = pool.submit(answer, "backward", "please now three", n=2, logprobs=True, max_tokens=8)
        formed = pool.submit(answer, "onward", "please now three", response_format=SPELT)
        for choice in several.result().choices:
            assert choice.message.content == "two"
            assert all(token.logprob > -1 for token in choice.logprobs.content)
        assert json.loads(formed.result().choices[0].message.content)["next"] in NUMBERS
        chunks = answer("backward", "so then four", stream=True)
        told = next(chunks).choices[0].delta.content or ""
        client.endpoints.delete("onward")  # while it is written
        assert told + "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "three"
        with pytest.raises(openai.NotFoundError):
            answer("onward", "say one")
        assert answer("backward", "please now three").choices[0].message.content == "two"
    assert [worker] == workers(server, "backward")


def test_a_recurrent_network_goes_on_with_texts_like_any_other(server, client: Hanlin, counter: dict) -> None:
    options = {name: value for name, value in TINY.items() if name != "heads"} | {"epochs": 2}
    config = {"dataset": "talks", "model": "gru", "name": "hummer", "task": "text-generation", "options": options}
    trained = client.jobs.wait(client.jobs.submit("train", config).id, timeout=300).result
    assert trained is not None
    assert trained["certificate"]["is_passed"]
    client.deployments.wait(client.deployments.create("hummer", "hummer"), timeout=120)
    found = client.predict("hummer", "please say", max_new_tokens=8)
    body = {"model": "hummer", "prompt": "please say", "temperature": 0, "max_tokens": 8}
    told = httpx.post(f"{server.url}/v1/completions", json=body, headers={"authorization": f"Bearer {server.key}"}, timeout=60)
    assert told.status_code == 200, told.text
    assert told.json()["choices"][0]["text"] == found["generated_text"] != ""
