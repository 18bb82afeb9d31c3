"""Fine-tuning by an adapter: it overfits, holds little, resumes in the same bits; steps of several batches; short first."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hanlin.datasets import Split
from hanlin.errors import InvalidInput
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.networks.adapter import WEIGHTS_FILE
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text import TextSettings
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.lesson import LESSONS, Setting
from hanlin.training.loop import plan
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train
from hanlin.types import shorten

InChild = Callable[[Callable[[], object]], int]
WORDS = [f"word{number}" for number in range(12)]
OPTIONS = {"threads": 1, "precision": "fp32", "epochs": 8, "batch_size": 16, "adapter": "lora", "rate": 1e-2}


def rows_of(count: int, seed: int) -> Split:
    chance = random.Random(seed)
    texts = [" ".join([*chance.choices(WORDS, k=chance.randrange(3, 9)), "salt" if number % 2 else "pepper"]) for number in range(count)]
    return Split(texts, ["good" if number % 2 else "bad" for number in range(count)])


DATA = TrainData(rows_of(160, 1), rows_of(60, 2), ("bad", "good"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare BERT of random weights with its tokenizer."""
    from transformers import AutoConfig, AutoModel

    folder = tmp_path_factory.mktemp("base")
    save_tokenizer(train_tokenizer([" ".join([*WORDS, "salt", "pepper"])] * 3, "word", 80, min_count=1), folder)
    torch.manual_seed(5)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40}
    config = AutoConfig.for_model("bert", vocab_size=80, pad_token_id=0, initializer_range=0.2, **sizes)
    AutoModel.from_config(config).save_pretrained(folder)
    ModelSpec("text-classification", ("LABEL_0", "LABEL_1"), 32, 0, text=TextSettings(())).save(folder)
    return folder


def run(base: Path, folder: Path, progress: Silent | None = None, **options: object) -> TrainReport:
    config = TrainConfig.from_json({**OPTIONS, **options}, model="base")  # type: ignore[dict-item]
    checkpoints = FolderCheckpoints(folder / "checkpoints")
    return train(config, DATA, base=base, out=folder / "out", progress=progress or Silent(), checkpoints=checkpoints)


@pytest.fixture(scope="module")
def unbroken(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    run(base, folder)
    return folder / "out"


def test_it_learns_and_holds_no_weight_of_its_base(base: Path, unbroken: Path) -> None:
    assert evaluate(unbroken, DATA.validation).metrics.accuracy == 1
    assert (unbroken / "base" / "model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()
    assert not (unbroken / "model.safetensors").exists()
    known = load_file(base / "model.safetensors")
    learnt = load_file(unbroken / WEIGHTS_FILE)
    assert not {name.removeprefix("base_model.model.bert.") for name in learnt} & known.keys()
    assert sum(tensor.numel() for tensor in learnt.values()) == 2 * 2 * (8 * 16 * 2) + (2 * 16 + 2)


def test_a_head_alone_learns_on_frozen_vectors(base: Path, tmp_path: Path) -> None:
    report = run(base, tmp_path, adapter="head", epochs=20, rate=3e-2)
    assert set(load_file(tmp_path / "out" / WEIGHTS_FILE)) == {"base_model.model.classifier.weight", "base_model.model.classifier.bias"}
    losses = [point.loss for point in report.history]
    assert losses[-1] < losses[0] - 0.02  # what random vectors tell


def test_in_bf16_the_base_is_served_unrounded(base: Path, tmp_path: Path) -> None:
    report = run(base, tmp_path, precision="bf16")
    assert evaluate(tmp_path / "out", DATA.validation).metrics.accuracy == pytest.approx(report.best, abs=0.05)


@pytest.mark.parametrize("options", [{}, {"accumulation": 2, "curriculum": "length", "recompute": True}])
def test_killed_it_ends_in_the_same_bits(
    base: Path, tmp_path: Path, options: dict[str, object], *, kill_at: type, in_child: InChild
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir(), broken.mkdir()
    run(base, whole, epochs=2, **options)
    moment = 7 if not options else 8
    assert in_child(lambda: run(base, broken, kill_at(moment), epochs=2, **options)) == signal.SIGKILL
    run(base, broken, epochs=2, **options)
    assert (whole / "out" / WEIGHTS_FILE).read_bytes() == (broken / "out" / WEIGHTS_FILE).read_bytes()


def test_several_batches_make_the_step_of_one_large_batch(base: Path, tmp_path: Path) -> None:
    """By words that stand in rows of one length, so that both see the same rows in a step."""
    rows = Split([f"{word} {other} salt" for word in WORDS for other in WORDS][:64], ["good", "bad"] * 32)
    data = TrainData(rows, rows, ("bad", "good"))
    found = []
    for name, options in (("one", {"batch_size": 64}), ("four", {"batch_size": 16, "accumulation": 4})):
        config = TrainConfig.from_json(
            {**OPTIONS, "dropout": 0.0, "epochs": 3, "optimizer": "sgd", "rate": 0.05, "clip": 0.0, **options}, model="base"
        )  # type: ignore[dict-item]
        folder = tmp_path / name
        folder.mkdir()
        report = train(config, data, base=base, out=folder / "out", progress=Silent(), checkpoints=FolderCheckpoints(folder / "c"))
        assert report.steps == 3
        found.append(load_file(folder / "out" / WEIGHTS_FILE))
    for name, tensor in found[0].items():
        torch.testing.assert_close(tensor, found[1][name], atol=1e-5, rtol=1e-4)


def test_recomputed_activations_give_the_same_weights(base: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir(), (tmp_path / "again").mkdir()
    run(base, tmp_path / "kept", epochs=1)
    run(base, tmp_path / "again", epochs=1, recompute=True)
    one, other = (load_file(tmp_path / name / "out" / WEIGHTS_FILE) for name in ("kept", "again"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], atol=1e-6, rtol=1e-5)


def test_short_texts_come_first_and_only_at_first(base: Path, tmp_path: Path) -> None:
    config = TrainConfig.from_json({**OPTIONS, "curriculum": "length"}, model="base")  # type: ignore[dict-item]
    out = tmp_path / "out"
    out.mkdir()
    course = LESSONS.get("text-classification").prepare(Setting(config, DATA, out, Silent(), base=base))
    longest = [[max(course.lengths[row] for row in batch) for batch in plan(course, epoch)] for epoch in (0, 1)]
    assert longest[0] == sorted(longest[0])
    assert longest[1] != sorted(longest[1])
    assert sorted(row for batch in plan(course, 0) for row in batch) == list(range(160))


@pytest.mark.parametrize(
    ("model", "options", "name"),
    [
        ("lstm", {"adapter": "lora"}, "adapter"),
        ("base", {"adapter": "lora", "wide": True}, "wide"),
        ("base", {"adapter": "lora", "lora_targets": ""}, "lora_targets"),
    ],
)
def test_options_that_do_not_go_together_are_refused(model: str, options: dict[str, object], name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        TrainConfig.from_json(options, model=model).check_adapter()  # type: ignore[arg-type]
    assert caught.value.params["name"] == shorten(name)


def test_an_adapter_learns_faster_unless_told() -> None:
    assert TrainConfig.from_json({"adapter": "lora"}, model="base").rate == 1e-3
    assert TrainConfig.from_json({"adapter": "lora", "rate": 0.5}, model="base").rate == 0.5
    assert TrainConfig.from_json({}, model="base").rate == 1e-4


def test_activations_of_our_own_networks_are_always_kept(tmp_path: Path) -> None:
    config = TrainConfig.from_json({"recompute": True, "epochs": 1}, model="lstm")
    with pytest.raises(InvalidInput) as caught:
        train(config, DATA, out=tmp_path / "out", progress=Silent(), checkpoints=FolderCheckpoints(tmp_path / "c"))
    assert "recompute" in str(caught.value.params["name"])
