"""What a certificate tells of a task that is asked besides: the same test rows, original and variant, as an evaluation judges them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.engines.constraint_forms import END, make_writer

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.control.job_kinds import Certify
from hanlin.control.platform import Platform
from hanlin.datasets import Split
from hanlin.engines.asking import Questioner
from hanlin.engines.trained import trained_session
from hanlin.generation import GenerationSettings
from hanlin.jobs import ProgressWriter
from hanlin.models.prompt_folder import import_prompt
from hanlin.pipelines.base import JobContext
from hanlin.pipelines.task_exams import CertifiedTask, TaskRows
from hanlin.storage.manifest import pack_folder
from hanlin.tasks import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.training.evaluation import evaluate
from hanlin.types import ModelRef

TEXTS = [f"the {color} {thing}" for color in ("red", "green", "blue") for thing in ("lamp", "door")]
GOLD = [json.dumps({"target": text.split()[-1]}) for text in TEXTS]
PROMPT = {"ask": "Shorten: {text}", "grammar": {"kind": "regex", "text": "[a-z ]{3,20}"}}


class Served:
    """The SDK before an endpoint of `folder`'s version."""

    def __init__(self, folder: Path) -> None:
        spec = ModelSpec.load(folder)
        self.asking = Questioner(trained_session(folder, threads=1)[0], TASKS.get(spec.task), spec, TextEncoder.load(folder))

    def predict(self, endpoint: str, inputs: Any, **parameters: Any) -> Any:
        assert endpoint == "here"
        return self.asking.ask([(inputs, parameters)]).answers[0]


@pytest.fixture
def told(platform: Platform, tmp_path: Path) -> Path:
    """`teller`, a network of texts, and `told`, which translates by asking it: its folder."""
    folders = [tmp_path / name for name in ("teller", "prompt", "rows")]
    for folder in folders:
        folder.mkdir()
    base, prompt, rows = folders
    make_writer(base)
    ModelSpec("text-generation", (), 900, 0, generation=GenerationSettings(max_new_tokens=12, stop_ids=(END,))).save(base)
    (prompt / "prompt.json").write_text(json.dumps(PROMPT), encoding="utf-8")
    import_prompt(prompt, base, tmp_path / "told", task="translation")
    for split in ("train", "validation", "test"):
        pq.write_table(pa.table({"text": TEXTS, "label": GOLD}), rows / f"{split}.parquet")
    for name, task in (("teller", "text-generation"), ("told", "translation")):
        platform.registry.create_version(
            DEFAULT_TEAM, name, task, manifest=pack_folder(tmp_path / name, platform.blobs), metrics={}, labels=(),
            lineage={"prompt": True, "dataset": "steps:1"} if name == "told" else {},
        )  # fmt: skip
    platform.registry.create_dataset_version(DEFAULT_TEAM, "steps", "translation", pack_folder(rows, platform.blobs), {})
    return tmp_path / "told"


@pytest.fixture
def context(platform: Platform, tmp_path: Path) -> Iterator[JobContext]:
    platform.jobs.submit(DEFAULT_TEAM, "certify", {}, lane="light")
    job = platform.jobs.claim("r", ["light"], 600)
    assert job is not None
    with ProgressWriter(platform.jobs, job) as progress:
        yield JobContext(platform, job, progress, tmp_path)


@pytest.mark.parametrize(("judged", "is_served"), [("teller", False), ("told", True)])
def test_original_and_variant_are_asked_the_same_rows(
    platform: Platform, context: JobContext, told: Path, judged: str, is_served: bool
) -> None:
    version = platform.registry.resolve(DEFAULT_TEAM, ModelRef.parse(f"{judged}:1"))
    rows = TaskRows.of(context, version, Certify(model=f"{judged}:1", task_model="told:1", task_rows=50))
    assert rows is not None
    found = CertifiedTask(context, version, "torch-fp32", rows).told(Served(told), "here")
    right = evaluate(told, Split(TEXTS, GOLD), threads=1).metrics.get("chrf")
    expected = {
        "task": "translation", "model": "told:1", "dataset": "steps:1", "split": "test", "metric": "chrf", "rows": len(TEXTS),
        "is_served": is_served, "drop_points": 0.0,
    }  # fmt: skip
    assert expected.items() <= found.items()
    assert found["value"] == found["trained_value"] == pytest.approx(right) != 0
    events = platform.jobs.events(DEFAULT_TEAM, context.job.id)
    assert [event.data["params"]["rows"] for event in events if event.data.get("code") == "asking_task"] == [len(TEXTS)]


def test_fewer_rows_are_taken_evenly_from_all(platform: Platform, context: JobContext, told: Path) -> None:
    version = platform.registry.resolve(DEFAULT_TEAM, ModelRef.parse("told:1"))
    rows = TaskRows.of(context, version, Certify(model="told:1", task_dataset="steps", task_rows=3))
    assert rows is not None
    exam = rows.exam(context, "validation")
    assert [inputs for inputs, _ in exam.calls] == TEXTS[::2]
    assert [*exam.gold] == GOLD[::2]
    assert all(parameters == {"truncation": True, "num_beams": 1, "do_sample": False} for _, parameters in exam.calls)
