"""Where a network for several labels begins."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.tiny_bert import save_bert

from hanlin.models.pretrained import build_from_base
from hanlin.networks.classifier import TextClassifier
from hanlin.networks.config import NetworkConfig
from hanlin.training.examples import Examples
from hanlin.training.goals import Goal

TRUTH = torch.tensor([[1.0, 0.0]] * 6 + [[0.0, 1.0]] + [[0.0, 0.0]] * 93)  # 6 and 1 of 100 rows


def examples() -> Examples:
    return Examples([], [], truth=TRUTH)


@pytest.mark.parametrize("is_balanced", [False, True])
def test_several_labels_begin_with_how_often_each_applies(is_balanced: bool) -> None:
    assert begun(TRUTH, is_balanced=is_balanced) == pytest.approx([0.5, 0.5] if is_balanced else [0.06, 0.01], abs=1e-3)


def test_labels_of_all_rows_or_none_begin_half_a_row_away() -> None:
    truth = torch.tensor([[1.0, 0.0]] * 50)
    assert begun(truth, is_balanced=False) == pytest.approx([0.99, 0.01], abs=1e-3)
    assert begun(truth, is_balanced=True) == pytest.approx([0.99, 25 / 74.5], abs=1e-3), "50 rows without to none with: as if to one"


def test_other_problems_begin_as_they_are_drawn() -> None:
    module = network()
    before = module.classifier.bias.clone()
    Goal("single-label").begin(module, Examples([], [0, 1]))
    assert torch.equal(module.classifier.bias, before)


def test_a_head_that_was_kept_is_left_alone(tmp_path: Path) -> None:
    goal = Goal("multi-label")
    bare = build_from_base(save_bert(tmp_path / "bare", ["a"], width=8, layers=1), ("x", "y"), problem="multi-label")
    goal.begin(bare, examples())
    assert torch.sigmoid(bare.model.classifier.bias).tolist() == pytest.approx([0.06, 0.01], abs=1e-3)
    bare.model.save_pretrained(tmp_path / "kept")
    kept = build_from_base(tmp_path / "kept", ("x", "y"), problem="multi-label")
    learnt = kept.model.classifier.bias.clone()
    goal.begin(kept, Examples([], [], truth=1 - TRUTH))
    assert torch.equal(kept.model.classifier.bias, learnt)


def begun(truth: torch.Tensor, *, is_balanced: bool) -> list[float]:
    """The chances with which a network begins."""
    train, module = Examples([], [], truth=truth), network()
    Goal.of("multi-label", train, is_balanced=is_balanced, smoothing=0.0).begin(module, train)
    return torch.sigmoid(module.classifier.bias).tolist()


def network() -> TextClassifier:
    torch.manual_seed(1)
    return TextClassifier(NetworkConfig("hanlin-lstm", 9, embedding_size=4, hidden_size=4, labels=("x", "y")))
