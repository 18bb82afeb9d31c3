"""Fine-tuning a base with a wide road beside it: what only runs of tokens tell, the tokenizer's ids, killing."""

from __future__ import annotations

import random
import signal
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hanlin.datasets import Split
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import load_model, save_network
from hanlin.networks.wide import WIDE_FILE
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text import TextSettings
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.compaction import compact, input_embedding
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.ports import Silent
from hanlin.training.train import train

InChild = Callable[[Callable[[], object]], int]
UNUSED = [f"unused{number}" for number in range(40)]
WORDS = [f"word{number}" for number in range(12)]
OPTIONS = {"threads": 1, "precision": "fp32", "epochs": 1, "batch_size": 16, "wide": True, "rate": 1e-3}


def rows_of(count: int, seed: int) -> Split:
    """Noise in which the order of two words alone tells the label."""
    chance = random.Random(seed)
    texts, labels = [], []
    for number in range(count):
        words = chance.choices(WORDS, k=chance.randrange(3, 9))
        words.insert(chance.randrange(len(words)), "salt pepper" if number % 2 else "pepper salt")
        texts.append(" ".join(words))
        labels.append("good" if number % 2 else "bad")
    return Split(texts, labels)


DATA = TrainData(rows_of(300, 1), rows_of(100, 2), ("bad", "good"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights, whose vocabulary has many words that the rows do not use."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder = tmp_path_factory.mktemp("base")
    save_tokenizer(train_tokenizer([" ".join([*UNUSED, *WORDS, "salt", "pepper"])] * 3, "word", 80, min_count=1), folder)
    torch.manual_seed(5)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40}
    config = AutoConfig.for_model("bert", vocab_size=80, pad_token_id=0, num_labels=2, **sizes)
    save_network(PretrainedClassifier(AutoModelForSequenceClassification.from_config(config)), folder)
    ModelSpec("text-classification", ("LABEL_0", "LABEL_1"), 32, 0, text=TextSettings(())).save(folder)
    return folder


def run(base: Path, folder: Path, progress: Silent | None = None, **options: object) -> Path:
    config = TrainConfig.from_json({**OPTIONS, **options}, model="base")  # type: ignore[dict-item]
    checkpoints = FolderCheckpoints(folder / "checkpoints")
    train(config, DATA, base=base, out=folder / "out", progress=progress or Silent(), checkpoints=checkpoints)
    return folder / "out"


@pytest.fixture(scope="module")
def unbroken(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(base, tmp_path_factory.mktemp("unbroken"))


def test_the_road_learns_beside_the_base_and_is_saved_in_the_tokenizers_ids(base: Path, unbroken: Path, tmp_path: Path) -> None:
    out, alone = unbroken, run(base, tmp_path / "alone", wide=False)
    assert evaluate(out, DATA.validation).metrics.accuracy > 0.97
    assert evaluate(alone, DATA.validation).metrics.accuracy < 0.9
    assert not (alone / WIDE_FILE).exists()
    road = load_model(out).wide
    salt, unused = (TextEncoder.load(out).encode([word])[0][-1] for word in ("salt", "unused3"))
    assert road.tables[0].weight.shape == (80, 2)
    assert salt != unused
    assert not road.tables[0].weight[unused].any()


def test_a_base_with_a_road_is_fine_tuned_without_it(unbroken: Path, tmp_path: Path) -> None:
    out = run(unbroken, tmp_path, wide=False)
    assert not (out / WIDE_FILE).exists()
    assert load_model(out).wide is None


@pytest.mark.parametrize("moment", [7, "fitting_wide_road", "wide_road_fitted"])
def test_killed_anywhere_it_ends_in_the_same_bits(
    base: Path, unbroken: Path, tmp_path: Path, moment: int | str, *, kill_at: type, in_child: InChild
) -> None:
    assert in_child(lambda: run(base, tmp_path, kill_at(moment))) == signal.SIGKILL
    out = run(base, tmp_path)
    for name in ("model.safetensors", WIDE_FILE):
        one, other = load_file(unbroken / name), load_file(out / name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), name
    assert (out / "config.json").read_bytes() == (unbroken / "config.json").read_bytes()


def test_ids_go_into_the_small_table_and_back(base: Path) -> None:
    module = load_model(base)
    full = input_embedding(module).weight.detach().clone()
    rows = [array("i", [70, 3, 3, 55]), array("i", [0, 70])]
    compaction = compact(module, rows, 0)
    assert compaction is not None
    small = compaction.translate(rows)
    assert max(max(row) for row in small) == 3
    assert compaction.original(small) == rows
    np.testing.assert_array_equal(input_embedding(module).weight.detach()[small[0][0]], full[70])
