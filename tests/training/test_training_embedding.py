"""Embedders learn from pairs, triplets and scored pairs: losses against figures by hand, a tiny corpus learnt by heart, killing."""

from __future__ import annotations

import json
import math
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hanlin.datasets import Split
from hanlin.errors import InvalidInput
from hanlin.networks.head import KEY
from hanlin.networks.projection import PROJECTION_FILE, Projection, save_projection
from hanlin.tasks import ModelSpec
from hanlin.tasks.related import Related
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.contrast import Batch, Contrastive, CoSent, Nested, Triplet
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData
from hanlin.training.option_rules import Case, applies
from hanlin.training.ports import Silent
from hanlin.training.related import with_negatives
from hanlin.training.train import TrainReport, train

InChild = Callable[[Callable[[], object]], int]
TINY = {
    "threads": 1, "precision": "fp32", "hidden_size": 32, "layers": 1, "heads": 2, "batch_size": 16, "max_length": 16, "rate": 3e-3,
    "tokenizer": "word", "dropout": 0.0, "min_count": 1, "epochs": 12,
}  # fmt: skip


def pairs(*, seed: int = 0, negatives: bool = False) -> Split:
    """A name and a thing: only having read both tells that they belong together."""
    chance = random.Random(seed)
    rows = []
    for number in range(24):
        first, second = f"ask{number} the {chance.choice('abc')}", f"tell{number} of {chance.choice('xyz')}"
        rows.append(Related(first, second, (f"tell{(number + 1) % 24} of q",) if negatives else ()))
    return Split([row.first for row in rows], [row.annotation() for row in rows])


def scored() -> Split:
    rows = [Related(f"w{a} same", f"w{b} same", score=5.0 if a == b else float(a % 2)) for a in range(8) for b in (a, (a + 3) % 8)]
    return Split([row.first for row in rows], [row.annotation() for row in rows])


def fit(rows: Split, folder: Path, progress: Silent | None = None, base: Path | None = None, **options: object) -> TrainReport:
    model = "base" if base else "transformer"
    tiny = {name: value for name, value in TINY.items() if applies(name, Case(model, "embedding"))}
    config = TrainConfig.from_json({**tiny, **options}, model=model, task="embedding")  # type: ignore[dict-item]
    checkpoints = FolderCheckpoints(folder / "checkpoints")
    data = TrainData(rows, rows, ())
    return train(config, data, base=base, out=folder / "out", progress=progress or Silent(), checkpoints=checkpoints)


def axes(*rows: int) -> torch.Tensor:
    return torch.eye(4)[list(rows)]


def batch_of(first: list[int], second: list[int], known: list[list[int]], **more: object) -> Batch:
    return Batch(torch.tensor(first), torch.tensor(second), torch.tensor(known).bool(), **more)  # type: ignore[arg-type]


def test_what_is_right_too_is_nobodys_negative() -> None:
    # Both anchors point at text 0; text 1, at a right angle, belongs to anchor 0 as well.
    batch = batch_of([0, 1], [0, 0], [[1, 1], [1, 0]])
    loss = Contrastive(1.0, is_symmetric=False)(axes(0, 0), axes(0, 1), batch)
    alone, against_one = 0.0, math.log(1 + math.exp(0 - 1))
    assert float(loss) == pytest.approx((alone + against_one) / 2)
    # Back from text 0: both anchors are known to belong to it, so that each is found for certain.
    assert float(Contrastive(1.0, is_symmetric=True)(axes(0, 0), axes(0, 1), batch)) == pytest.approx((alone + against_one) / 4)


def test_a_triplet_takes_its_own_negative_else_the_nearest_of_the_batch() -> None:
    near = torch.tensor([[0.8, 0.6, 0.0, 0.0]])
    texts = torch.cat([axes(0, 1), near])
    own = Triplet(0.3)(axes(0), texts, batch_of([0], [0], [[1, 0, 0]], negatives=[[1]]))
    assert float(own) == pytest.approx(0.0)  # 0.3 - 1 + 0
    nearest = Triplet(0.3)(axes(0), texts, batch_of([0], [0], [[1, 0, 0]]))
    assert float(nearest) == pytest.approx(0.3 - 1 + 0.8)


def test_only_the_order_of_scores_counts() -> None:
    vectors = torch.cat([axes(0), torch.tensor([[0.6, 0.8, 0.0, 0.0]])])
    wrong = CoSent(0.5)(axes(0, 0), vectors, batch_of([0, 1], [0, 1], [[1, 0], [0, 1]], scores=torch.tensor([0.1, 0.9])))
    assert float(wrong) == pytest.approx(math.log(1 + math.exp((1 - 0.6) / 0.5)))
    same = CoSent(0.5)(axes(0, 0), vectors, batch_of([0, 1], [0, 1], [[1, 0], [0, 1]], scores=torch.tensor([0.5, 0.5])))
    assert float(same) == 0.0


def test_beginnings_of_vectors_are_weighed() -> None:
    batch = batch_of([0, 1], [0, 1], [[1, 0], [0, 1]])
    plain = Contrastive(1.0, is_symmetric=False)
    anchors, texts = torch.randn(2, 4), torch.randn(2, 4)
    found = Nested(plain, (4, 2), (3.0, 1.0))(anchors, texts, batch)
    assert float(found) == pytest.approx((3 * float(plain(anchors, texts, batch)) + float(plain(anchors[:, :2], texts[:, :2], batch))) / 4)


def test_wrong_texts_are_looked_up_where_there_are_none() -> None:
    examples = [
        Related("red fox", "the red fox"),
        Related("red fox", "a fox"),
        Related("red car", "a red car"),
        Related("sea", "sea", ("car",)),
    ]
    found = with_negatives(examples, 2)
    assert [example.negatives for example in found] == [("a red car",), ("a red car",), ("the red fox",), ("car",)]


@pytest.mark.parametrize(
    "options",
    [{}, {"loss": "triplet", "epochs": 40}, {"matryoshka": [8, 4], "matryoshka_weights": [1, 0.5]}, {"pooling": "cls"}, {"negatives": 2}],
)
def test_pairs_are_learnt_by_heart(tmp_path: Path, options: dict[str, object]) -> None:
    rows = pairs(negatives="pooling" in options)
    report = fit(rows, tmp_path, **options)
    assert report.best > 0.95
    found = evaluate(tmp_path / "out", rows)
    assert found.metrics.get("ndcg") == pytest.approx(report.best, abs=1e-6)  # what callers are answered is what was learnt
    assert found.metrics.get("recall_10") == 1.0


def test_scored_pairs_are_learnt_by_heart(tmp_path: Path) -> None:
    for loss in ("cosent", "mse"):
        report = fit(scored(), tmp_path / loss, loss=loss, epochs=20)
        assert evaluate(tmp_path / loss / "out", scored()).metrics.get("spearman") == pytest.approx(report.best, abs=1e-6)
        assert report.best > 0.8


def test_prompts_stand_before_texts_as_callers_send_them_and_a_base_is_tuned_on(tmp_path: Path) -> None:
    prompts = {"query_prompt": "ask: ", "passage_prompt": "tell: "}
    first = fit(pairs(), tmp_path / "first", **prompts)
    spec = ModelSpec.load(tmp_path / "first/out")
    assert spec.vectors is not None
    assert dict(spec.vectors.prompts) == {"query": "ask: ", "passage": "tell: "}
    again = fit(pairs(), tmp_path / "again", base=tmp_path / "first/out", epochs=1, rate=1e-6)
    assert again.best == pytest.approx(first.best, abs=0.02)
    assert ModelSpec.load(tmp_path / "again/out").vectors == spec.vectors
    whole, tuned = (load_file(tmp_path / name / "out/model.safetensors") for name in ("first", "again"))
    assert {name: value.shape for name, value in whole.items()} == {name: value.shape for name, value in tuned.items()}


def test_dense_layers_of_a_base_learn_with_it(tmp_path: Path) -> None:
    base = tmp_path / "base/out"
    fit(pairs(), tmp_path / "base", epochs=1)
    config = json.loads((base / "config.json").read_text())
    config[KEY]["dense"] = ["tanh"]
    (base / "config.json").write_text(json.dumps(config))
    save_projection(Projection([32, 6], ("tanh",), [True]), base)
    spec = ModelSpec.load(base)
    replace(spec, vectors=replace(spec.vectors, dimensions=6)).save(base)
    tuned = fit(pairs(), tmp_path / "tuned", base=base, layer_decay=1.0)
    found = evaluate(tmp_path / "tuned/out", pairs())
    assert found.metrics.get("ndcg") == pytest.approx(tuned.best, abs=1e-6)
    assert tuned.best > 0.9
    before, after = (load_file(folder / PROJECTION_FILE) for folder in (base, tmp_path / "tuned/out"))
    assert not torch.equal(before["layers.0.weight"], after["layers.0.weight"])


def test_a_killed_run_ends_in_the_bits_of_an_unbroken_one(tmp_path: Path, in_child: InChild, kill_at: type[Silent]) -> None:
    options = {"epochs": 3, "dropout": 0.1}
    whole = fit(pairs(), tmp_path / "whole", **options)
    status = in_child(lambda: fit(pairs(), tmp_path / "broken", kill_at(5), **options))  # type: ignore[call-arg]
    assert status == signal.SIGKILL
    resumed = fit(pairs(), tmp_path / "broken", **options)
    assert resumed.best == whole.best
    one, other = (load_file(tmp_path / name / "out/model.safetensors") for name in ("whole", "broken"))
    assert all(np.array_equal(one[name].numpy(), other[name].numpy()) for name in one)


@pytest.mark.parametrize(
    ("rows", "options", "code"),
    [
        (Split(["a", "b", "c"], ["", "", ""]), {}, "nothing_to_learn"),
        (pairs(), {"loss": "cosent"}, "invalid_training_option"),
        (scored(), {"loss": "contrastive"}, "invalid_training_option"),
        (pairs(), {"matryoshka": [64]}, "invalid_training_option"),
    ],
)
def test_what_cannot_be_learnt_is_refused(tmp_path: Path, rows: Split, options: dict[str, object], code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        fit(rows, tmp_path, **options)
    assert error.value.code == code
