"""A task that a language model is asked besides: every judged variant sits the same exam, and its figure takes part in the choice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.engines.constraint_forms import END, make_writer

from hanlin.compression.judge import Bounds
from hanlin.compression.plan import EncodedSplit
from hanlin.compression.report import CompressionReport
from hanlin.compression.search import search
from hanlin.compression.task_exam import ROWS_AT_ONCE, TaskExam
from hanlin.engines.asking import Questioner
from hanlin.engines.trained import trained_session
from hanlin.errors import Cancelled, InvalidInput
from hanlin.generation import Constraint, GenerationSettings
from hanlin.networks.loading import load_model, save_network
from hanlin.tasks import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.next_token_likeness import COUNT
from hanlin.tasks.prompt_form import PromptForm
from hanlin.tasks.spec import ModelSpec
from hanlin.training.ports import Silent

BITS = ["openvino-int8", "openvino-int4"]
TEXTS = [f"the {color} {thing}" for color in ("red", "green", "blue") for thing in ("lamp", "door")]


class Told(Silent):
    """Remembers; gives up behind a message."""

    def __init__(self, last: str = "") -> None:
        self.said: list[tuple[str, dict]] = []
        self.bars: list[tuple[int, int]] = []
        self.last = last

    def report(self, step: int, total: int, metrics: object) -> None:
        self.bars.append((step, total))

    def message(self, code: str, /, **params: object) -> None:
        self.said.append((code, params))

    def check_cancelled(self) -> None:
        if self.last and self.said and self.said[-1][0] == self.last:
            raise Cancelled("job_cancelled")


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder whose weights are so large that rounding them to four bits changes what it writes."""
    folder = make_writer(tmp_path_factory.mktemp("writer"))
    module = load_model(folder)
    with torch.no_grad():
        for weight in (each for each in module.parameters() if each.ndim > 1):
            weight.mul_(4)
    save_network(module, folder)
    settings = GenerationSettings(max_new_tokens=12, stop_ids=(END,), temperature=3.0)
    ModelSpec("text-generation", (), 900, 0, generation=settings).save(folder)
    return folder


@pytest.fixture(scope="module")
def exam(writer: Path, tmp_path_factory: pytest.TempPathFactory) -> TaskExam:
    """Translations, of which what the trained model writes greedily is right."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "tokenizer.json").write_bytes((writer / "tokenizer.json").read_bytes())
    form = PromptForm("Shorten: {text}", grammar=Constraint("regex", "[a-z ]{3,20}"))
    spec = replace(ModelSpec.load(writer), task="translation", prompt=form)
    spec.save(folder)
    session, _ = trained_session(writer, threads=1)
    asked = TaskExam.of(folder, TEXTS, [], {"task": "translation"})
    answers = Questioner(session, TASKS.get("translation"), spec.greedy, TextEncoder.load(folder)).ask(asked.calls).answers
    return replace(asked, gold=[json.dumps({"target": one["translation_text"]}) for one in answers])


def report_of(folder: Path, out: Path, exam: TaskExam, bounds: Bounds, told: Silent) -> CompressionReport:
    chance = np.random.default_rng(2)
    rows = [chance.integers(4, 200, 12).tolist() for _ in range(12)]
    return search(
        folder, spec=ModelSpec.load(folder), validation=EncodedSplit(rows), test=EncodedSplit(rows[:2]), calibration=rows[:2],
        bounds=bounds, target="memory", variants=BITS, threads=1, progress=told, rounds=1, out=out, exam=exam,
        writing=GenerationSettings(reads=True, likeliest=COUNT),
    )  # fmt: skip


def test_every_judged_variant_sits_it_on_the_same_rows_and_the_budget_goes_by_it(writer: Path, exam: TaskExam, tmp_path: Path) -> None:
    told = Told()
    free = report_of(writer, tmp_path, exam, Bounds(100), told)
    assert free.task == {"task": "translation", "metric": "chrf", "rows": len(TEXTS), "budget": None}
    first, near, far = (free.of(name).task for name in ("torch-fp32", *BITS))
    assert (first["value"], first["drop_points"]) == (pytest.approx(1.0), 0.0)
    assert far["value"] < near["value"] <= 1
    assert far["drop_points"] == pytest.approx(100 * (first["value"] - far["value"]))
    assert far["interval"][0] <= far["value"] <= far["interval"][1]
    assert {row.status for row in free.variants} <= {"ok", "failed"}
    assert CompressionReport.from_json(json.loads(json.dumps(free.to_json()))) == free
    rows = [(said["variant"], said["done"], said["total"]) for code, said in told.said if code == "task_rows_written"]
    assert rows == [(name, done, len(TEXTS)) for name in ("torch-fp32", *BITS) for done in (ROWS_AT_ONCE, len(TEXTS))]
    assert told.bars == sorted(told.bars)
    assert told.bars[-1][0] == told.bars[-1][1]
    bounded = report_of(writer, tmp_path, exam, Bounds(100, task_points=(near["drop_points"] + far["drop_points"]) / 2), Silent())
    assert bounded.of("openvino-int8").status == free.of("openvino-int8").status
    assert bounded.of("openvino-int4").status == "over budget"
    assert bounded.of("openvino-int4").reason.code == "task_points_lost"
    assert bounded.chosen != "openvino-int4"


def test_it_is_given_up_between_rows(writer: Path, exam: TaskExam, tmp_path: Path) -> None:
    told = Told(last="task_rows_written")
    with pytest.raises(Cancelled):
        report_of(writer, tmp_path, exam, Bounds(100), told)
    assert told.said[-1] == ("task_rows_written", {"variant": "torch-fp32", "done": ROWS_AT_ONCE, "total": len(TEXTS)})


def test_an_exam_of_no_rows_is_refused_before_anything_is_made(writer: Path, exam: TaskExam, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        report_of(writer, tmp_path, replace(exam, calls=(), gold=()), Bounds(100), Silent())
    assert caught.value.code == "judging_rows_missing"
    assert not list(tmp_path.iterdir())
