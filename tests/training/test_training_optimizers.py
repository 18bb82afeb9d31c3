"""What a step does to weights, by value: clipping, decay, running means, and the weights of rare labels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hanlin.datasets import Split
from hanlin.training.checkpoints import FolderCheckpoints
from hanlin.training.config import TrainConfig
from hanlin.training.evaluation import evaluate
from hanlin.training.examples import TrainData, class_weights, flag_weights
from hanlin.training.optimizers import Average, Masters
from hanlin.training.ports import Silent
from hanlin.training.train import train

SMALL = {
    "precision": "fp32", "embedding_size": 8, "hidden_size": 8, "ngrams": False, "min_count": 1, "wide": False, "tokenizer": "word",
    "threads": 1, "dropout": 0.0, "embedding_dropout": 0.0, "label_smoothing": 0.0,
}  # fmt: skip


def module_of() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))


def step(module: nn.Module, scale: float, **options: object) -> Tensor:
    """All weights' way in one step down gradients of ones times `scale`."""
    config = TrainConfig.from_json({"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "rate": 0.1, **options}, model="lstm")  # type: ignore[dict-item]
    masters = Masters(module, config, torch.float32)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, scale)
    masters.step(1.0, check=lambda norm: None)
    return torch.cat([(old - new.detach()).flatten() for old, new in zip(before, module.parameters(), strict=True)])


@pytest.mark.parametrize(
    ("scale", "clip", "norm"), [(100.0, 0.5, 0.5), (100.0, 3.0, 3.0), (0.1, 3.0, 0.1 * 21**0.5), (2.0, 0.0, 2.0 * 21**0.5)]
)
def test_no_step_goes_further_than_the_clipped_gradient(scale: float, clip: float, norm: float) -> None:
    moved = step(module_of(), scale, clip=clip)
    assert moved.norm().item() == pytest.approx(0.1 * norm, rel=1e-4), "21 weights; the rate is 0.1"
    assert moved.std() < 1e-6, "its direction stays"


def test_biases_and_norms_are_spared_from_decay() -> None:
    module = module_of()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0)
    config = TrainConfig.from_json({"weight_decay": 0.5, "rate": 0.1}, model="lstm")
    masters = Masters(module, config, torch.float32)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    masters.step(1.0, check=lambda norm: None)
    found = {name: float(parameter.detach().mean()) for name, parameter in module.named_parameters()}
    assert found == pytest.approx({"0.weight": 0.95, "0.bias": 1.0, "1.weight": 1.0, "1.bias": 1.0})


def test_a_running_mean_is_what_its_formula_says() -> None:
    weight = torch.tensor([0.0])
    average = Average([weight], 0.25)
    wanted = 0.0
    for number, value in enumerate((11.0, 22.0, 5.0, -3.0, 8.0), 1):
        weight.fill_(value)
        average.update([weight])
        decay = min(0.25, (1 + number) / (10 + number))  # 2/11, then 0.25
        wanted = decay * wanted + (1 - decay) * value
        assert average.means[0].item() == pytest.approx(wanted, rel=1e-5)
    assert average.means[0].item() != pytest.approx(8.0, abs=0.5)


def rows_of(count: int) -> Split:
    """One row of twenty is rare; so are its words, but two of three rows that have them are not."""
    kinds = ["rare" if number % 20 == 0 else "doubt" if number % 20 in (1, 2) else "plain" for number in range(count)]
    texts = [f"w{number % 7} " + ("sun moon" if kind != "plain" else "tree stone") for number, kind in enumerate(kinds)]
    return Split(texts, ["rare" if kind == "rare" else "usual" for kind in kinds])


def test_the_mean_is_what_is_judged_and_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[Tensor], list[Tensor]]] = []
    update = Average.update

    def listen(self: Average, weights: list[Tensor]) -> None:
        update(self, weights)
        seen.append(([mean.clone() for mean in self.means], [weight.detach().clone() for weight in weights]))

    monkeypatch.setattr(Average, "update", listen)
    rows = rows_of(80)
    config = TrainConfig.from_json({**SMALL, "epochs": 1, "batch_size": 8, "rate": 0.05, "average": 0.9, "metric": "loss"}, model="gru")  # type: ignore[dict-item]
    report = train(
        config, TrainData(rows, rows, ("rare", "usual")), out=tmp_path / "out", progress=Silent(),
        checkpoints=FolderCheckpoints(tmp_path / "c"),
    )  # fmt: skip
    saved = sorted(float(weight.double().sum()) for weight in load_file(tmp_path / "out" / "model.safetensors").values())
    means, last = (sorted(float(weight.double().sum()) for weight in part) for part in seen[-1])
    assert saved == pytest.approx(means, abs=1e-5)
    assert means != pytest.approx(last, abs=1e-2)
    assert evaluate(tmp_path / "out", rows).metrics.get("accuracy") == pytest.approx(report.history[-1].validation["accuracy"])


def test_weights_of_labels_by_hand() -> None:
    assert class_weights([0, 0, 0, 1], 2).tolist() == pytest.approx([4 / (2 * 3), 4 / (2 * 1)])
    assert class_weights([0, 0, 0, 1, 2, 2], 3).tolist() == pytest.approx([6 / 9, 6 / 3, 6 / 6])
    truth = torch.zeros(400, 3)
    truth[:100, 0], truth[:1, 1], truth[:300, 2] = 1, 1, 1
    assert flag_weights(truth).tolist() == [3.0, 100.0, 1.0], "300 to 100; 399 to 1, but at most 100; never below 1"


def test_balanced_weights_win_where_a_label_is_rare(tmp_path: Path) -> None:
    """Every third row with a rare label's words has it: the likeliest label is the usual one, and the rare one is never said."""
    found = {}
    for weights in ("none", "balanced"):
        options = {**SMALL, "epochs": 8, "batch_size": 32, "rate": 0.02, "average": 0.0, "class_weights": weights, "metric": "loss"}
        config = TrainConfig.from_json(options, model="gru")  # type: ignore[arg-type]
        data = TrainData(rows_of(400), rows_of(200), ("rare", "usual"))
        train(config, data, out=tmp_path / weights, progress=Silent(), checkpoints=FolderCheckpoints(tmp_path / f"{weights}-c"))
        found[weights] = evaluate(tmp_path / weights, rows_of(200)).metrics.get("macro_f1")
    assert found["none"] == pytest.approx(0.487, abs=0.01), "95 % right, and of no use"
    assert found["balanced"] > 0.7
