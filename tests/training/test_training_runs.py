"""Training end to end on small rows: learning, saving, killing, resuming, cancelling, diverging."""

from __future__ import annotations

import hashlib
import os
import random
import signal
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from hanlin.compression.base import convert
from hanlin.datasets import Split
from hanlin.engines import load_variant
from hanlin.messages.said import Plain, Said
from hanlin.networks.config import NetworkConfig
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.training import train as train_module
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.option_rules import SCRATCH_MODELS, Case, applies
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train

InChild = Callable[[Callable[[], object]], int]
GOOD, BAD, FILLER = ["好", "喜欢", "great", "美味"], ["差", "讨厌", "awful", "难吃"], list("这个房间的早餐和服务我们昨天")


def rows_of(count: int, seed: int) -> Split:
    chance = random.Random(seed)
    texts, labels = [], []
    for number in range(count):
        words = chance.choices(FILLER, k=chance.randrange(2, 20))
        words.insert(chance.randrange(len(words)), chance.choice(GOOD if number % 2 else BAD))
        texts.append("".join(words))
        labels.append("good" if number % 2 else "bad")
    return Split(texts, labels)


DATA = TrainData(rows_of(160, 1), rows_of(60, 2), ("bad", "good"))
SMALL = {
    "metric": "accuracy",
    "precision": "fp32",
    "embedding_size": 16,
    "hidden_size": 16,
    "ngram_buckets": 256,
    "min_count": 1,
    "batch_size": 16,
    "epochs": 4,
    "rate": 0.02,
    "heads": 2,
    "layers": 1,
    "dropout": 0.1,
    "ngram_dropout": 0.2,
    "threads": 1,
}
SPACED = {"cleaning": ["width"], "segmentation": "character"}


def config_of(model: str = "lstm", **options: object) -> TrainConfig:
    small = {name: value for name, value in SMALL.items() if applies(name, Case(model, "text-classification"))}
    if options.get("ngrams") is False:
        small = {name: value for name, value in small.items() if not name.startswith("ngram_")}
    return TrainConfig.from_json({**small, **options}, model=model)  # type: ignore[dict-item]


def run(folder: Path, config: TrainConfig, *, progress: Silent | None = None, data: TrainData = DATA) -> TrainReport:
    return train(config, data, out=folder / "out", progress=progress or Silent(), checkpoints=FolderCheckpoints(folder / "checkpoints"))


def digest(folder: Path) -> str:
    return hashlib.sha256(
        b"".join((folder / "out" / name).read_bytes() for name in ("model.safetensors", "tokenizer.json", "hanlin.json"))
    ).hexdigest()


@pytest.mark.parametrize("model", SCRATCH_MODELS)
def test_a_network_learns_is_saved_and_answers_the_same(tmp_path: Path, model: str) -> None:
    report = run(tmp_path, config_of(model, rate=0.005 if model == "transformer" else 0.02, epochs=10 if model == "transformer" else 5))
    assert report.best > 0.9
    first = evaluate(tmp_path / "out", DATA.validation)
    assert first.metrics.accuracy == pytest.approx(report.best)
    assert first.answers == evaluate(tmp_path / "out", DATA.validation).answers
    assert ModelSpec.load(tmp_path / "out").labels == ("bad", "good")
    assert first.rows_per_s > 0


def test_the_curve_is_of_the_network_alone_and_the_best_of_what_was_saved(tmp_path: Path) -> None:
    plain, wide = (run(tmp_path / str(is_wide), config_of(epochs=1, rate=0.002, wide=is_wide)) for is_wide in (False, True))
    assert wide.history == plain.history
    assert plain.network_best == plain.best == max(point.validation["accuracy"] for point in plain.history if point.validation)
    assert wide.network_best == plain.best < wide.best
    assert wide.best == pytest.approx(evaluate(tmp_path / "True" / "out", DATA.validation).metrics.accuracy)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "rate": 0.2},
        {"optimizer": "adam"},
        {"schedule": "cosine"},
        {"schedule": "onecycle"},
        {"schedule": "constant", "warmup": 0.0},
        {"class_weights": "balanced", "average": 0.0},
        {"tokenizer": "bpe", "text": SPACED},
        {"tokenizer": "wordpiece", "metric": "macro_f1", "text": SPACED},
        {"precision": "bf16"},
        {"metric": "loss", "evaluations": 2},
        {"precision": "auto"},
    ],
)
def test_every_choice_learns(tmp_path: Path, options: dict[str, object]) -> None:
    run(tmp_path, config_of("gru" if "tokenizer" in options else "lstm", **{"epochs": 6, **options}))
    assert evaluate(tmp_path / "out", DATA.validation).metrics.accuracy > 0.85


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("lstm", {"bidirectional": False}), ("gru", {"pooling": "attention"}), ("rnn", {"pooling": "attention", "bidirectional": False}),
        ("transformer", {"pooling": "max-mean-attention", "rate": 0.005, "epochs": 10}),
    ],
)  # fmt: skip
def test_one_direction_and_learnt_attention_learn_and_answer_the_same(tmp_path: Path, model: str, options: dict[str, object]) -> None:
    """Without runs of tokens and without the road beside it, so that the network itself must see the word."""
    report = run(tmp_path, config_of(model, **{"ngrams": False, "wide": False, "epochs": 6, "rate": 0.02, **options}))
    assert report.best > 0.9
    made = NetworkConfig.load(tmp_path / "out")
    assert (made.bidirectional, made.pooling) == (options.get("bidirectional", True), options.get("pooling", "max-mean"))
    found = evaluate(tmp_path / "out", DATA.validation)
    assert found.metrics.accuracy == pytest.approx(report.best)
    convert(tmp_path / "out", "onnxruntime-fp32", calibration=[])
    ids, mask = np.array([[3, 4, 5], [6, 7, 0]]), np.array([[1, 1, 1], [1, 1, 0]])
    ours, theirs = (load_variant(tmp_path / "out", name, threads=1).run(ids, mask)["logits"] for name in ("torch-fp32", "onnxruntime-fp32"))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_same_seed_same_bits_other_seed_other_bits(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run(tmp_path / name, config_of(seed=seed, epochs=1))
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


class DyingCheckpoints(FolderCheckpoints):
    """Dies when half of the `number`th checkpoint is written, or right after it is published."""

    def __init__(self, root: Path, number: int, moment: str) -> None:
        super().__init__(root)
        self.number, self.moment = number, moment

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        self.number -= 1

        def half(folder: Path) -> None:
            write(folder)
            if not self.number and self.moment == "half":
                with (folder / "tensors.safetensors").open("r+b") as file:
                    file.truncate(1000)
                os.kill(os.getpid(), signal.SIGKILL)

        super().save(step, half)
        if not self.number:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, TrainReport]:
    folder = tmp_path_factory.mktemp("unbroken")
    report = run(folder, config_of(evaluations=2))
    return digest(folder), report


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_killed_at_random_steps_ends_in_the_same_bits(
    tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch, kill_at: type, in_child: InChild
) -> None:
    monkeypatch.setattr(train_module, "CHECKPOINT_SECONDS", 0.0)  # a checkpoint after every step
    config = config_of(evaluations=2, precision=precision, patience=50)
    report = run(tmp_path / "whole", config)
    for step in sorted(random.Random(precision).sample(range(1, report.steps + 1), 10)):
        assert in_child(lambda: run(tmp_path / "torn", config, progress=kill_at(step))) == signal.SIGKILL  # noqa: B023  # runs at once
    resumed = run(tmp_path / "torn", config)
    assert digest(tmp_path / "torn") == digest(tmp_path / "whole")
    assert resumed.history == report.history
    assert (resumed.best, resumed.best_step, resumed.steps) == (report.best, report.best_step, report.steps)


@pytest.mark.parametrize("moment", ["half", "after"])
@pytest.mark.parametrize("number", [1, 5])
def test_killed_amid_a_checkpoint_ends_in_the_same_bits(
    tmp_path: Path, unbroken: tuple[str, TrainReport], moment: str, number: int, in_child: InChild
) -> None:
    config = config_of(evaluations=2)
    dying = DyingCheckpoints(tmp_path / "checkpoints", number, moment)
    assert in_child(lambda: train(config, DATA, out=tmp_path / "out", progress=Silent(), checkpoints=dying)) == signal.SIGKILL
    assert len(list((tmp_path / "checkpoints").glob("*.part"))) == (1 if moment == "half" else 0)
    report = run(tmp_path, config)
    assert digest(tmp_path) == unbroken[0]
    assert report.history == unbroken[1].history
    assert not list((tmp_path / "checkpoints").glob("*.part"))


class Clock(Silent):
    """`pace` seconds a step, `cost` seconds a checkpoint."""

    def __init__(self, pace: float, cost: float) -> None:
        self.now, self.pace, self.cost, self.saved = 0.0, pace, cost, list[float]()

    def perf_counter(self) -> float:
        return self.now

    def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        self.now += self.pace

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        self.saved.append(self.now)
        self.now += self.cost

    def latest(self) -> None:
        return None


@pytest.mark.parametrize(("pace", "cost", "gap"), [(1.0, 0.5, 10.0), (1.0, 4.0, 40.0), (50.0, 1000.0, 600.0)])
def test_dear_checkpoints_are_made_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pace: float, cost: float, gap: float
) -> None:
    """Ten steps an epoch: cheap ones stand behind each, dear ones take a tenth of the time, and the dearest are made all the same."""
    clock = Clock(pace, cost)
    monkeypatch.setattr(train_module, "time", clock)
    train(config_of(epochs=9, wide=False), DATA, out=tmp_path / "out", progress=clock, checkpoints=clock)
    gaps = [after - before - cost for before, after in pairwise(clock.saved)]
    assert gaps
    assert all(gap <= found <= gap + 2 * pace for found in gaps)


def test_a_checkpoint_of_other_options_or_rows_is_not_used(tmp_path: Path) -> None:
    run(tmp_path, config_of(epochs=1))
    told: list[str] = []

    class Listener(Silent):
        def message(self, code: str, /, **params: Plain | Said) -> None:
            if code == "training_resumed":
                told.append(code)

    run(tmp_path, config_of(epochs=2), progress=Listener())
    other = TrainData(rows_of(160, 9), DATA.validation, DATA.labels)
    run(tmp_path, config_of(epochs=2), progress=Listener(), data=other)
    assert told == []
    run(tmp_path, config_of(epochs=2), progress=Listener(), data=other)
    assert told == ["training_resumed"]


def test_checkpoints_hold_no_pickle(tmp_path: Path) -> None:
    """C098."""
    run(tmp_path, config_of(epochs=1))
    for path in (tmp_path / "checkpoints").rglob("*"):
        if path.is_file():
            assert path.suffix in (".safetensors", ".json")
            assert not path.read_bytes().startswith((b"\x80", b"PK"))


def test_training_and_serving_see_the_same_ids(tmp_path: Path) -> None:
    run(tmp_path, config_of(epochs=1))
    encoder = TextEncoder.load(tmp_path / "out")
    assert encoder.encode(["ＧＲＥＡＴ 這個"]) == encoder.encode(["great 这个"])
