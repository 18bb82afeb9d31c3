"""Runs that end before their time: no numbers, wild rates, cancelled, out of patience, nothing to learn from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.training.test_training_runs import DATA, config_of, run

from hanlin.datasets import Split
from hanlin.errors import Cancelled, EngineFailed, InvalidInput
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.evaluation import evaluate
from hanlin.training.ports import Silent


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C122."""
    config = config_of(epochs=3)
    original = torch.nn.functional.cross_entropy
    calls = [0]

    def poisoned(*args: object, **kwargs: object) -> torch.Tensor:
        calls[0] += 1
        return original(*args, **kwargs) * (float("nan") if calls[0] == 15 else 1.0)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", poisoned)
    with pytest.raises(EngineFailed, match="step 15") as caught:
        run(tmp_path, config)
    assert caught.value.code == "diverged"
    assert not (tmp_path / "out" / "model.safetensors").exists()
    latest = FolderCheckpoints(tmp_path / "checkpoints").latest()
    assert latest is not None
    assert latest.name == "step-000000010"
    assert json.loads((latest / "state.json").read_text(encoding="utf-8"))["step"] == 10
    monkeypatch.undo()
    assert run(tmp_path, config).steps == 30  # and it can be taken up again


def test_a_wild_rate_diverges_with_words(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed) as caught:
        run(
            tmp_path,
            config_of(
                "rnn", optimizer="sgd", rate=10.0, clip=0.0, epochs=50, momentum=0.99, average=0.0, label_smoothing=0.0, batch_size=4
            ),
        )
    assert caught.value.code == "diverged"


def test_cancelling_ends_at_once_and_leaves_no_artifact(tmp_path: Path) -> None:
    class Impatient(Silent):
        def __init__(self) -> None:
            self.steps = 0

        def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
            self.steps = step

        def check_cancelled(self) -> None:
            if self.steps >= 3:
                raise Cancelled("internal")

    progress = Impatient()
    with pytest.raises(Cancelled):
        run(tmp_path, config_of(), progress=progress)
    assert progress.steps == 3
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_patience_ends_early(tmp_path: Path) -> None:
    report = run(tmp_path, config_of(epochs=200, patience=3))
    assert report.steps < 200 * 10
    assert report.steps - report.best_step == 3 * 10


@pytest.mark.parametrize(
    ("train_rows", "validation_rows"),
    [(Split([], []), DATA.validation), (DATA.train, Split([], [])), (Split(["a", "b"], ["good", "good"]), DATA.validation)],
)
def test_nothing_to_learn_from_is_said_before_any_work(tmp_path: Path, train_rows: Split, validation_rows: Split) -> None:
    with pytest.raises(InvalidInput) as caught:
        run(tmp_path, config_of(), data=replace(DATA, train=train_rows, validation=validation_rows))
    assert caught.value.code == "nothing_to_learn"


def test_a_foreign_label_is_named(tmp_path: Path) -> None:
    run(tmp_path, config_of(epochs=1))
    with pytest.raises(InvalidInput, match="neutral"):
        evaluate(tmp_path / "out", Split(["x"], ["neutral"]))
