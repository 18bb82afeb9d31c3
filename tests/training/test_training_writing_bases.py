"""An encoder that was pretrained here, or imported, becomes a network that writes: it learns pairs, is cut off, and answers the same."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.tiny_bert import save_bert

from hanlin.datasets import Split
from hanlin.errors import Cancelled, InvalidInput
from hanlin.models.importing import import_folder
from hanlin.networks.config import NetworkConfig
from hanlin.tasks.examples import canonical
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.written_texts import target_of
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig, preset
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.option_rules import Case, applies
from hanlin.training.ports import Silent
from hanlin.training.train import TrainReport, train

WORDS = {"red": "红", "green": "绿", "foxes": "狐", "houses": "屋", "big": "大", "running": "跑"}
BACK = {chinese: english for english, chinese in WORDS.items()}
MASKED = {
    "precision": "fp32", "vocab_size": 320, "hidden_size": 32, "layers": 1, "heads": 2, "max_length": 48, "train_length": 24,
    "batch_size": 16, "rate": 0.01, "epochs": 3, "threads": 1, "min_count": 1, "dropout": 0.0,
}  # fmt: skip
PAIRED = {
    "epochs": 15, "decoder_layers": 1, "batch_size": 16, "rate": 0.003, "head_rate": 3.0, "max_length": 48, "max_target_length": 16,
    "precision": "fp32", "threads": 1, "dropout": 0.0, "label_smoothing": 0.0, "train_length": 48,
}  # fmt: skip

OWN_DECODER: dict[str, object] = {"decoder_layers": preset("base", "translation").decoder_layers, "head_rate": 1.0}


def said(count: int, seed: int) -> list[list[str]]:
    chance = random.Random(seed)
    return [[chance.choice(list(WORDS)) for _ in range(chance.randint(1, 3))] for _ in range(count)]


def pairs(count: int, seed: int, *, is_back: bool = False) -> Split:
    texts = [(" ".join(row), "".join(WORDS[word] for word in row)) for row in said(count, seed)]
    texts = [(target, source) for source, target in texts] if is_back else texts
    return Split([source for source, _ in texts], [canonical({"target": target}) for _, target in texts])


def learn(
    folder: Path, data: TrainData, *, model: str = "base", task: str = "translation", base: Path | None = None,
    progress: Silent | None = None, **options: object,
) -> TrainReport:  # fmt: skip
    small = MASKED if task == "fill-mask" else {name: value for name, value in PAIRED.items() if applies(name, Case(model, task))}
    config = TrainConfig.from_json({**small, **options}, model=model, task=task)  # type: ignore[dict-item]
    checkpoints = FolderCheckpoints(folder / "checkpoints")
    return train(config, data, out=folder / "out", progress=progress or Silent(), checkpoints=checkpoints, base=base)


def pretrained(folder: Path, **options: object) -> Path:
    """A base of lines in both languages, as `hanlin pretrain` makes it."""
    parts = [
        [f"{' '.join(row)} {''.join(WORDS[word] for word in row)}" for row in said(count, seed)] for count, seed in ((160, 3), (16, 4))
    ]
    data = TrainData(*(Split(lines, [""] * len(lines)) for lines in parts), ())
    learn(folder, data, model="transformer", task="fill-mask", **options)
    return folder / "out"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrained(tmp_path_factory.mktemp("base"))


FORTH = TrainData(pairs(384, 1), pairs(24, 2), ())


def share_right(folder: Path, part: Split, key: str = "translation_text") -> float:
    found = evaluate(folder, part)
    assert found.answers == evaluate(folder, part).answers
    right = [answer[key] == target_of(gold) for answer, gold in zip(found.answers, part.labels, strict=True)]  # type: ignore[index,call-overload]
    return sum(right) / len(right)


@pytest.mark.parametrize(("task", "key", "is_back"), [("translation", "translation_text", True), ("summarization", "summary_text", False)])
def test_a_base_pretrained_here_learns_to_write(base: Path, tmp_path: Path, task: str, key: str, *, is_back: bool) -> None:
    data = TrainData(pairs(384, 1, is_back=is_back), pairs(24, 2, is_back=is_back), ())
    report = learn(tmp_path, data, task=task, base=base)
    assert report.history[-1].validation["loss"] < 0.2
    assert share_right(tmp_path / "out", data.validation, key) > 0.9  # whole words with their spaces, and Chinese without
    spec = ModelSpec.load(tmp_path / "out")
    assert (spec.text, spec.task, spec.max_length) == (ModelSpec.load(base).text, task, 48)


def test_it_starts_from_the_weights_of_its_base(base: Path, tmp_path: Path) -> None:
    learn(tmp_path, FORTH, base=base, epochs=1, rate=1e-8, decoder_layers=2)
    network = NetworkConfig.load(tmp_path / "out")
    assert (network.encoder, network.num_hidden_layers, network.num_decoder_layers, network.hidden_size) == ("bert", 1, 2, 32)
    mine, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path / "out", base))
    pairs_of = {"tokens.weight": "embeddings.word_embeddings.weight", "blocks.0.expand.bias": "encoder.layer.0.intermediate.dense.bias"}
    for name, other in pairs_of.items():
        torch.testing.assert_close(mine[f"encoder.{name}"], theirs[f"bert.{other}"], atol=1e-5, rtol=0)
    # and goes on from there: a fine-tuned one is a base of its own
    learn(tmp_path / "again", FORTH, base=tmp_path / "out", epochs=1, **OWN_DECODER)
    assert NetworkConfig.load(tmp_path / "again" / "out") == network


def test_the_decoder_alone_learns_at_the_rate_of_a_head(base: Path, tmp_path: Path) -> None:
    start = learn_weights(tmp_path / "slow", base, rate=1e-8, head_rate=1.0)
    fast = learn_weights(tmp_path / "fast", base, rate=1e-8, head_rate=1000.0)
    moved = {name: float((fast[name] - start[name]).abs().max()) for name in start}
    assert max(size for name, size in moved.items() if name.startswith("encoder.")) < 1e-6
    assert all(size > 1e-6 for name, size in moved.items() if name.startswith("decoder.") and name.endswith("expand.weight"))


def learn_weights(folder: Path, base: Path, **options: object) -> dict[str, torch.Tensor]:
    learn(folder, FORTH, base=base, epochs=1, **options)
    return load_file(folder / "out" / "model.safetensors")


class Stopped(Silent):
    """Cancels once, after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def check_cancelled(self) -> None:
        self.left -= 1
        if not self.left:
            raise Cancelled("job_cancelled")


def test_a_run_that_was_cut_off_is_the_run_that_was_not(base: Path, tmp_path: Path) -> None:
    learn(tmp_path / "whole", FORTH, base=base, epochs=3, dropout=0.1)
    with pytest.raises(Cancelled):
        learn(tmp_path / "cut", FORTH, base=base, progress=Stopped(8), epochs=3, dropout=0.1)
    learn(tmp_path / "cut", FORTH, base=base, epochs=3, dropout=0.1)
    weights = [(tmp_path / name / "out" / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_an_imported_encoder_learns_to_write(tmp_path: Path) -> None:
    source = save_bert(tmp_path / "source", ["[MASK]", *WORDS, *BACK], "BertForMaskedLM", is_wordpiece=True, is_normalized=True)
    import_folder(source, tmp_path / "base", task="fill-mask")
    learn(tmp_path, FORTH, base=tmp_path / "base")
    assert share_right(tmp_path / "out", FORTH.validation) > 0.9


def test_an_adapter_on_a_new_decoder_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        learn(tmp_path, FORTH, base=base, adapter="lora")
    assert (caught.value.code, caught.value.params["name"]) == ("invalid_training_option", "'adapter'")


def test_a_base_with_a_decoder_of_its_own_gets_no_other(base: Path, tmp_path: Path) -> None:
    learn(tmp_path, FORTH, base=base, epochs=1)
    for name, value in {"decoder_layers": 2, "head_rate": 5.0}.items():
        with pytest.raises(InvalidInput) as caught:
            learn(tmp_path / "again", FORTH, base=tmp_path / "out", **(OWN_DECODER | {name: value}))
        assert (caught.value.code, caught.value.params["name"]) == ("invalid_training_option", f"'{name}'")


@pytest.mark.parametrize("number", [None, 3])
def test_a_base_pads_as_its_tokenizer_does_whatever_its_config_says(tmp_path: Path, number: int | None) -> None:
    """Bug: where the config named no padding the training ended with an internal error; where it was the end of a text, it was refused."""
    folder = save_bert(tmp_path / "bert", [*WORDS, *BACK], "BertForMaskedLM")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"pad_token_id": number}))
    import_folder(folder, tmp_path / "base", task="text-classification")
    learn(tmp_path, FORTH, base=tmp_path / "base", epochs=1)
    assert NetworkConfig.load(tmp_path / "out").pad_token_id == ModelSpec.load(tmp_path / "out").pad_id == 0
