"""The console's page of an endpoint that writes, over a real server: a tiny random model that talks, and one that never ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.gateway.muse import make_model
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.app import open_platform
from hanlin.generation import GenerationSettings
from hanlin.settings import load_settings
from hanlin.storage.manifest import pack_folder
from hanlin.tasks.chat_form import ChatForm
from hanlin.tasks.spec import ModelSpec

pytestmark = pytest.mark.e2e
TALK = [{"role": "user", "content": "床前明月光"}]


@pytest.fixture(scope="module")
def served(emptied, tmp_path_factory: pytest.TempPathFactory):
    """The server, with `muse` and `endless` deployed."""
    folder = tmp_path_factory.mktemp("writing")
    make_model(folder / "muse")
    make_endless(folder / "endless")
    publish(emptied.home, {folder / "muse": "torch-fp32", folder / "endless": "fake-fp32"})
    with emptied.client() as client:
        for name in ("muse", "endless"):
            client.deployments.wait(client.deployments.create(name, name), timeout=120)
    return emptied


@pytest.fixture
def browser(served) -> Iterator[httpx.Client]:
    """Signed in, with the form token in its headers."""
    with httpx.Client(base_url=served.url, timeout=60) as client:
        fields = {"csrf": token_in(client.get("/console/login")), "key": served.key, "next": "/"}
        assert client.post("/console/login", data=fields).status_code == 303
        client.headers["x-csrf-token"] = token_in(client.get("/console/endpoints/muse"))
        yield client


def token_in(page: httpx.Response) -> str:
    return re.findall(r'name="csrf" value="(\w+)"', page.text)[0]


def make_endless(folder: Path) -> None:
    """Says what it was told over and over, a word each 20 ms."""
    words = ["[PAD]", "[UNK]", "go", "on", *(f"m{number}" for number in range(6))]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    form = ChatForm(marks={"system": ("m0 ", " m1 "), "user": ("m2 ", " m3 "), "assistant": ("m4 ", " m5 ")})
    ModelSpec("text-generation", (), 4096, 0, generation=GenerationSettings(max_new_tokens=4000), chat=form).save(folder)
    (folder / "fake.json").write_text(json.dumps({"writes": True, "max_rows": 4, "is_endless": True, "step_ms": 20}))


def publish(home: Path, chosen: dict[Path, str]) -> None:
    """Version 1 of the model that each folder names."""
    platform = open_platform(load_settings({}, home=home))
    with contextlib.closing(platform):
        for folder, variant in chosen.items():
            manifest = pack_folder(folder, platform.blobs)
            made = platform.registry.create_version(
                DEFAULT_TEAM, folder.name, "text-generation", manifest=manifest, lineage={}, metrics={}, labels=()
            )
            platform.registry.add_variant(made, variant, None, {"status": "ok"}, is_chosen=True)
            platform.registry.publish(platform.registry.add_certificate(made, variant, {"rows": 1}, is_passed=True))


def fields(call: dict) -> dict[str, str]:
    return {"kind": "chat", "body": json.dumps({"stream": True, **call})}


def test_the_page_knows_that_both_talk(browser) -> None:
    page = browser.get("/console/endpoints/muse").text
    assert '<option value="chat" selected>' in page
    assert '<option value="endless">endless</option>' in page


def test_what_the_page_streams_is_what_the_door_answers(served, browser) -> None:
    call = {"messages": TALK, "temperature": 0, "logprobs": True, "top_logprobs": 2, "max_tokens": 12}
    streamed = browser.post("/console/endpoints/muse/write", data=fields(call)).raise_for_status()
    events = [line.removeprefix("data: ") for line in streamed.text.split("\n\n") if line]
    assert events.pop() == "[DONE]"
    choices = [json.loads(event)["choices"][0] for event in events]
    door = httpx.post(
        f"{served.url}/v1/chat/completions", json={"model": "muse", **call}, headers={"authorization": f"Bearer {served.key}"}, timeout=60
    )  # fmt: skip
    (whole,) = door.raise_for_status().json()["choices"]
    assert "".join(choice["delta"].get("content", "") for choice in choices) == whole["message"]["content"] != ""
    tokens = [token for choice in choices if choice["logprobs"] for token in choice["logprobs"]["content"]]
    assert [token["token"] for token in tokens] == [token["token"] for token in whole["logprobs"]["content"]]


def test_the_sdk_hears_the_same_call_as_the_page_says(served) -> None:
    call = {"model": "muse", "messages": TALK, "temperature": 0, "max_tokens": 12}
    asked = {"headers": {"authorization": f"Bearer {served.key}"}, "timeout": 60}
    whole = httpx.post(f"{served.url}/v1/chat/completions", json=call, **asked).raise_for_status().json()
    code = f"""
import json

from hanlin.client import Hanlin

call = {call | {"stream": True, "stream_options": {"include_usage": True}}}
with Hanlin("{served.url}") as hanlin:  # HANLIN_KEY holds the key
    for message in hanlin.listen("/v1/chat/completions", body=call):
        for choice in json.loads(message.data)["choices"]:
            print(choice["delta"].get("content") or "", end="", flush=True)
"""
    environ = os.environ | {"HANLIN_KEY": served.key, "PYTHONIOENCODING": "utf-8"}
    heard = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, check=True).stdout.decode()
    assert heard == whole["choices"][0]["message"]["content"]


def test_stopping_frees_the_place(browser) -> None:
    def open_rows() -> float:
        found = re.findall(r'hanlin_worker_open_rows\{[^}]*endpoint="default/endless"[^}]*\} ([\d.]+)', browser.get("/metrics").text)
        return sum(map(float, found))

    def gone() -> float:
        found = re.findall(r'hanlin_streams_total\{[^}]*end="gone"[^}]*\} ([\d.]+)', browser.get("/metrics").text)
        return sum(map(float, found))

    before, call = gone(), {"messages": [{"role": "user", "content": "go on"}]}
    with browser.stream("POST", "/console/endpoints/endless/write", data=fields(call)) as answer:
        heard, parts = "", answer.iter_text()  # held: a generator that is let go of closes its connection
        for text in parts:
            heard += text
            if heard.count("data: ") > 5:
                break
        assert open_rows() == 1
    left_s = time.monotonic()
    while open_rows():
        assert time.monotonic() - left_s < 5, "a busy machine is slow to see it"
        time.sleep(0.05)
    assert gone() == before + 1
    assert "[DONE]" not in heard


def test_an_answer_that_no_frame_holds_is_refused_and_its_worker_lives_on(served) -> None:
    """Once it was taken for a broken worker, which was ended with all streams of others."""
    asked = {"headers": {"authorization": f"Bearer {served.key}"}, "timeout": 60}
    parameters = {"truncation": True, "return_full_text": True, "num_return_sequences": 16, "max_new_tokens": 1}
    answer = httpx.post(f"{served.url}/models/muse", json={"inputs": ["x" * 1_000_000] * 5, "parameters": parameters}, **asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "answer_too_large")
    assert httpx.post(f"{served.url}/models/muse", json={"inputs": "x"}, **asked | {"timeout": 10}).status_code == 200
