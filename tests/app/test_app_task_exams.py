"""A decoder's compression and certificate tell how well it does a task that it is asked for by prompts, original and variants alike.

Its weights are random: what it writes is nonsense in the right form, and the same nonsense wherever the same weights write it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.engines.constraint_forms import END, make_writer

from hanlin.client import Hanlin
from hanlin.generation import GenerationSettings
from hanlin.tasks.spec import ModelSpec

pytestmark = pytest.mark.e2e
WORDS = ("kitchen", "hall", "garden", "lamp", "door", "red", "green")
PAIRS = [{"source": f"{number}: the {word}", "target": f"{word} {number % 3}"} for number in range(4) for word in WORDS]
PROMPT = {"ask": "Shorten: {text}", "grammar": {"kind": "regex", "text": "[a-z ]{3,20}"}}
VARIANTS = ["openvino-int8"]


def finished(client: Hanlin, job_id: str) -> Any:
    return client.jobs.wait(job_id, timeout=900).result


@pytest.fixture(scope="module")
def evaluated(client: Hanlin, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """`teller`, a network of texts, and `told`, which translates by asking it; how good it is on all test rows of `steps`."""
    folder, files = make_writer(tmp_path_factory.mktemp("teller")), tmp_path_factory.mktemp("files")
    ModelSpec("text-generation", (), 900, 0, generation=GenerationSettings(max_new_tokens=12, stop_ids=(END,))).save(folder)
    (files / "pairs.jsonl").write_text("\n".join(map(json.dumps, PAIRS)), encoding="utf-8")
    (files / "prompt.json").write_text(json.dumps(PROMPT), encoding="utf-8")
    added = client.datasets.add("steps", files / "pairs.jsonl", task="translation", options={"split": "20/40/40"})
    finished(client, client.models.add("teller", folder, task="text-generation").id)
    finished(client, added.id)
    made = finished(client, client.models.add("told", files / "prompt.json", task="translation", rows="steps", base="teller").id)
    return dict(made["metrics"])


def test_a_compression_and_its_certificate_tell_the_tasks_figure(client: Hanlin, evaluated: dict[str, Any]) -> None:
    config = {"model": "teller", "variants": VARIANTS, "target": "memory", "task_model": "told", "task_rows": 100, "task_budget": 100.0}
    job = client.jobs.submit("compress", config)
    result = finished(client, job.id)
    named = {"task": "translation", "model": "told:1", "dataset": "steps:1", "metric": "chrf"}
    asked = result["report"]["task"]
    assert asked == {**named, "split": "validation", "budget": 100, "rows": asked["rows"]}
    rows = {row["variant"]: row["task"] for row in result["report"]["variants"]}
    assert rows.keys() == {"torch-fp32", *VARIANTS}
    for row in rows.values():
        assert row["drop_points"] == pytest.approx(100 * (rows["torch-fp32"]["value"] - row["value"]))
    certified = result["certificate"]["task"]
    assert {name: certified[name] for name in named} == named
    assert (certified["split"], certified["is_served"], certified["rows"]) == ("test", False, evaluated["rows"])
    assert certified["trained_value"] == pytest.approx(evaluated["chrf"]) != 0
    assert certified["drop_points"] == pytest.approx(100 * (certified["trained_value"] - certified["value"]))
    told = [event.message for event in client.jobs.stream(job.id) if "rows of the task written" in event.message]
    last = f"{asked['rows']} of {asked['rows']} rows of the task written"
    assert [line for line in told if last in line] == [f"{name}: {last}" for name in ("torch-fp32", *VARIANTS)]


def test_a_version_that_is_asked_is_judged_where_it_is_served(client: Hanlin, evaluated: dict[str, Any]) -> None:
    job = client.jobs.submit("certify", {"model": "told", "task_dataset": "steps", "task_rows": 100})
    task = finished(client, job.id)["certificate"]["task"]
    assert (task["model"], task["rows"], task["is_served"], task["drop_points"]) == ("told:1", evaluated["rows"], True, 0.0)
    assert task["value"] == task["trained_value"] == pytest.approx(evaluated["chrf"])
