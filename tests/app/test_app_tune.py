"""A search for options on a real server, its job killed while two trials run: it ends, and its best is what is served."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.app.conftest import Server, wait_for

from hanlin.client import Hanlin

pytestmark = pytest.mark.e2e
WORDS = {"good": ("fine", "lovely", "bright"), "bad": ("awful", "dirty", "loud")}
FIXED = {
    "epochs": 6, "batch_size": 16, "embedding_size": 16, "ngrams": False, "precision": "fp32", "threads": 1, "average": 0.0,
    "min_count": 1, "tokenizer": "word", "dropout": 0.1, "embedding_dropout": 0.0, "label_smoothing": 0.0,
}  # fmt: skip
TRIALS = 4


def write(path: Path) -> Path:
    """Reviews in which one word decides."""
    chance = random.Random(7)
    lines = [
        f"the room {number} was {chance.choice(WORDS[label])}\t{label}" for number, label in enumerate(chance.choices([*WORDS], k=240))
    ]
    path.write_text("\n".join(["text\tlabel", *lines]), encoding="utf-8")
    return path


def trials_of(server: Server, job_id: str) -> tuple[psutil.Process | None, int]:
    """The process of a job, and how many trials run below it."""
    for process in server.tree():
        with contextlib.suppress(psutil.Error):
            if job_id in " ".join(process.cmdline()):
                return process, len(process.children())
    return None, 0


def test_a_search_that_is_killed_ends_and_its_best_is_served(server: Server, client: Hanlin, tmp_path: Path) -> None:
    client.jobs.wait(client.datasets.add("tuned-rows", write(tmp_path / "rows.tsv"), task="text-classification").id, timeout=120)
    asked = {
        "task": "text-classification", "dataset": "tuned-rows", "model": "lstm", "name": "tuned", "options": FIXED,
        "space": {"rate": {"min": 0.0005, "max": 0.02, "log": True}, "hidden_size": [8, 16]},
        "trials": TRIALS, "parallel": 2, "pruner": "none",
    }  # fmt: skip
    job = client.jobs.submit("tune", asked)
    running: list[psutil.Process] = []

    def is_in_flight() -> bool:
        process, count = trials_of(server, job.id)
        running[:] = [process] if process is not None and count >= 2 else []
        return bool(running) or client.jobs.get(job.id).has_ended

    wait_for(is_in_flight, "two trials never ran side by side")
    assert running, client.jobs.get(job.id)
    running[0].kill()
    done = client.jobs.wait(job.id, timeout=600)
    assert (done.state, done.attempt) == ("succeeded", 2), done
    result: Any = done.result
    trials = result["study"]["trials"]
    assert {trial["state"] for trial in trials} == {"complete"}
    assert [trial["number"] for trial in trials] == [*range(TRIALS)]
    assert result["study"]["best"] in range(TRIALS)
    version = client.models.get("tuned").versions[0]
    assert version.metrics["accuracy"] > 0.9, "of test rows, which no trial saw"
    client.deployments.wait(client.deployments.create("tuned", "tuned"), timeout=120)
    assert client.predict("tuned", "the room 3 was awful")[0]["label"] == "bad"
