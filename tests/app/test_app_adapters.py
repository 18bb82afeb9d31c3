"""Adapters through a real server: two stand on one imported base, share its process and its steps, and answer each for itself."""

from __future__ import annotations

import contextlib
import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.app.callers import Threads

from hanlin.client import Hanlin
from hanlin.errors import HanlinError, NotFound

pytestmark = pytest.mark.e2e
WORDS = [f"word{number}" for number in range(12)]
SIDES = {"taste": ("salt", "sugar"), "mood": ("laughs", "weeps", "sleeps")}  # what the rows of an adapter are told apart by
TEXTS = ["word3 salt word5 weeps", "sugar word1 laughs", "word7 word2 sleeps salt word1"]
WAYS = {"taste": ["--adapter", "lora", "--set", "lora_rank=4"], "mood": ["--adapter", "head", "--set", "rate=0.03"]}
SETS = ["epochs=4", "batch_size=16", "precision=fp32", "threads=1"]


def hanlin(server, *words: str) -> str:
    """What one command says; it must succeed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HANLIN_")} | {"HANLIN_HOME": str(server.home)}
    done = subprocess.run([sys.executable, "-m", "hanlin", *words], capture_output=True, text=True, check=False, timeout=300, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_base(folder: Path) -> Path:
    """A bare BERT of random weights with its tokenizer."""
    import torch
    import transformers

    from hanlin.models.tokenizers import save_tokenizer, train_tokenizer

    folder.mkdir()
    known = [*WORDS, *(word for words in SIDES.values() for word in words)]
    save_tokenizer(train_tokenizer([" ".join(known)] * 3, "word", 80, min_count=1), folder)
    torch.manual_seed(5)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40}
    config = transformers.BertConfig(vocab_size=80, pad_token_id=0, initializer_range=0.2, **sizes)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def write_rows(path: Path, name: str) -> None:
    chance = random.Random(name)
    with path.open("w", newline="", encoding="utf-8") as handle:
        rows = csv.writer(handle)
        rows.writerow(["text", "label"])
        for number in range(120):
            word = SIDES[name][number % len(SIDES[name])]
            rows.writerow([" ".join([f"n{number}", *chance.choices(WORDS, k=3), word]), word])


@pytest.fixture(scope="module")
def adapters(server, client: Hanlin, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A matrix adapter and a head over one imported encoder; each is served in the shared process and, as `…-alone`, in one of its own."""
    folder = tmp_path_factory.mktemp("adapters")
    hanlin(server, "model", "import", "tiny", str(make_base(folder / "base")), "--wait")
    for name, way in WAYS.items():
        write_rows(folder / f"{name}.csv", name)
        hanlin(server, "dataset", "add", name, str(folder / f"{name}.csv"), "--task", "text-classification", "--wait")
        sets = [word for option in SETS for word in ("--set", option)]
        hanlin(server, "train", "--dataset", name, "--model", "tiny", "--name", name, *way, *sets, "--wait")
        hanlin(server, "deploy", name, "--endpoint", name)
        hanlin(server, "deploy", name, "--endpoint", f"{name}-alone", "--isolation", "own")


def answers(client: Hanlin, endpoint: str) -> list[dict[str, float]]:
    return [{item["label"]: item["score"] for item in found} for found in client.predict(endpoint, TEXTS)]


def workers(server, name: str) -> list[psutil.Process]:
    """The processes whose title names this endpoint."""
    found = []
    for process in server.tree():
        with contextlib.suppress(psutil.Error):
            title = " ".join(process.cmdline())
            if title.startswith("hanlin worker") and f", {name} " in title.replace("hanlin worker ", ", "):
                found.append(process)
    return found


class Callers(Threads):
    """Several who ask both endpoints by turns, until the block ends. Each answer is compared with the adapter's own."""

    def __init__(self, server, alone: dict[str, list[dict[str, float]]]) -> None:
        self.counts = dict.fromkeys(alone, 0)
        self.wrong: list[object] = []
        self.gone: set[str] = set()
        self._server, self._alone = server, alone
        super().__init__()

    def call(self) -> None:
        with Hanlin(self._server.url, self._server.key, timeout=60, max_retries=0) as client:
            while not self.is_over.is_set():
                for name in self._alone:
                    with contextlib.suppress(AssertionError):
                        self._ask(client, name)

    def _ask(self, client: Hanlin, name: str) -> None:
        try:
            found = answers(client, name)
        except NotFound as error:
            if name not in self.gone:
                self.wrong.append(error)
            return
        except HanlinError as error:
            self.wrong.append(error)
            return
        if found != [pytest.approx(scores, abs=1e-5) for scores in self._alone[name]]:
            self.wrong.append((name, found))
        self.counts[name] += 1

    def wait_for(self, name: str, count: int = 15) -> None:
        wanted = self.counts[name] + count
        until(lambda: self.counts[name] >= wanted)


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s, "it never came to be"
        time.sleep(0.02)


def test_mixed_traffic_a_killed_worker_and_an_adapter_that_leaves(server, client: Hanlin, adapters: None) -> None:
    alone = {name: answers(client, f"{name}-alone") for name in WAYS}
    assert [set(alone[name][0]) for name in WAYS] == [set(SIDES[name]) for name in WAYS]
    (both,) = workers(server, "taste")
    assert [both] == workers(server, "mood")
    assert both not in workers(server, "taste-alone") + workers(server, "mood-alone")
    with Callers(server, alone) as callers:
        callers.wait_for("taste"), callers.wait_for("mood")
        os.kill(both.pid, signal.SIGKILL)
        callers.wait_for("taste"), callers.wait_for("mood")
        (again,) = workers(server, "taste")
        assert again.pid != both.pid
        assert [again] == workers(server, "mood")
        callers.gone.add("mood")
        hanlin(server, "undeploy", "mood")
        callers.wait_for("taste")
        assert [again] == workers(server, "taste")
        until(lambda: not workers(server, "mood"))
    assert callers.wrong == []
    with pytest.raises(NotFound):
        answers(client, "mood")
    hanlin(server, "deploy", "mood", "--endpoint", "mood")
    assert [again] == workers(server, "mood")
    assert answers(client, "mood") == [pytest.approx(scores, abs=1e-5) for scores in alone["mood"]]
