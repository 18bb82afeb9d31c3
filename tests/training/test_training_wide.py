"""The linear road over runs of tokens: its ratios, its mixing, and that it reaches the saved folder."""

from __future__ import annotations

import math
from array import array
from pathlib import Path

import numpy as np
import pytest
import torch

from hanlin.networks.config import NetworkConfig
from hanlin.networks.loading import build, load_network, save_network
from hanlin.training import wide
from hanlin.training.evaluation import predict
from hanlin.training.examples import Examples
from hanlin.training.wide import add_wide_road


def network(labels: int = 2) -> torch.nn.Module:
    """A small LSTM that knows nothing."""
    torch.manual_seed(0)
    names = tuple(f"label{number}" for number in range(labels))
    return build(NetworkConfig(model_type="hanlin-lstm", vocab_size=50, labels=names, embedding_size=8, hidden_size=8)).eval()


def phrases(labels: int, rows: int, seed: int) -> Examples:
    """Rows of noise; the pair (10 + label, 20 + label) tells the label, while the single tokens of all pairs stand in every row."""
    chance = np.random.default_rng(seed)
    made, gold = [], []
    for number in range(rows):
        label = number % labels
        tokens = [10 + other for other in range(labels) if other != label] + [20 + other for other in range(labels) if other != label]
        chance.shuffle(tokens)
        made.append(array("i", [*chance.integers(30, 50, 4).tolist(), *tokens, 30, 10 + label, 20 + label]))
        gold.append(label)
    return Examples(made, gold)


@pytest.mark.parametrize("labels", [2, 3])
def test_it_learns_what_only_runs_of_tokens_tell(labels: int, tmp_path: Path) -> None:
    module, train, validation = network(labels), phrases(labels, 300, 1), phrases(labels, 90, 2)
    before = predict(module, validation.rows, 0)
    found = add_wide_road(module, train, validation, pad_id=0, seed=0)
    assert found.wide > 0
    assert (found.probabilities.argmax(1) == validation.gold).mean() > 0.97
    assert (before.argmax(1) == validation.gold).mean() < 0.7
    np.testing.assert_allclose(predict(module, validation.rows, 0), found.probabilities, atol=1e-5)
    save_network(module, tmp_path)
    np.testing.assert_allclose(predict(load_network(tmp_path), validation.rows, 0), found.probabilities, atol=1e-5)


def test_a_road_that_does_not_help_is_left_out() -> None:
    module, chance = network(), np.random.default_rng(0)
    noise = Examples([array("i", chance.integers(1, 50, 12).tolist()) for _ in range(400)], chance.integers(0, 2, 400).tolist())
    other = Examples([array("i", chance.integers(1, 50, 12).tolist()) for _ in range(400)], chance.integers(0, 2, 400).tolist())
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    found = add_wide_road(module, noise, other, pad_id=0, seed=0)
    assert found.wide == 0
    assert not module.config.wide_sizes
    assert all(torch.equal(value, weights[name]) for name, value in module.state_dict().items())


def test_the_weights_are_the_ratios_times_the_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a penalty so strong that the regression barely moves, the weights keep the sign and the order of the ratios."""
    monkeypatch.setattr(wide, "STRENGTH", 1e-3)
    rows = [array("i", [7, 8])] * 6 + [array("i", [7, 9])] * 2 + [array("i", [7, 8])] * 2 + [array("i", [7, 9])] * 6
    examples = Examples(rows, [1] * 8 + [0] * 8)
    road = wide.WideRoad(vocab_size=12, num_labels=2, sizes=(1,), buckets=16)
    wide._fit(road, examples, pad_id=0, seed=0)
    weight = road.tables[0].weight.detach()
    ratio = math.log((1 + 6) / (1 + 2))
    assert float(weight[8, 1]) == pytest.approx(-float(weight[9, 1]), rel=1e-3)
    assert weight[8, 1] > 0 > weight[8, 0]
    assert weight[7].abs().max() < 1e-6  # stands in all rows of both labels
    assert weight[11].abs().max() == 0
    assert float(weight[8, 1]) < ratio


def test_a_run_of_one_row_is_not_learnt() -> None:
    examples = Examples(
        [array("i", [1, 5]), array("i", [2, 3]), array("i", [1, 4]), array("i", [2, 3]), array("i", [1, 4])], [1, 0, 1, 0, 1]
    )
    road = wide.WideRoad(vocab_size=8, num_labels=2, sizes=(1,), buckets=16)
    wide._fit(road, examples, pad_id=0, seed=0)
    assert road.tables[0].weight[5].abs().max() == 0
    assert road.tables[0].weight[4].abs().max() > 0


def test_many_labels_go_without() -> None:
    module, rows = network(wide.MAX_LABELS + 1), phrases(2, 40, 3)
    assert add_wide_road(module, rows, rows, pad_id=0, seed=0).wide == 0
    assert module.wide is None


def test_padding_and_company_change_nothing() -> None:
    module = network()
    add_wide_road(module, phrases(2, 200, 1), phrases(2, 60, 2), pad_id=0, seed=0)
    rows = [row[: 3 + number] for number, row in enumerate(phrases(2, 8, 4).rows)]
    together = predict(module, rows, 0)
    alone = np.concatenate([predict(module, [row], 0) for row in rows])
    np.testing.assert_allclose(together, alone, atol=1e-5)
