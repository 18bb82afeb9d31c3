"""Linear layers in 8 bits: near what they were, and the same alone as among others."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hanlin.networks.config import NetworkConfig
from hanlin.networks.int8 import Int8Linear, to_int8
from hanlin.networks.loading import build_generator


@pytest.mark.parametrize("has_bias", [True, False])
def test_a_layer_is_near_what_it_was_and_the_same_beside_anything(has_bias: bool) -> None:
    torch.manual_seed(1)
    linear = nn.Linear(48, 30, bias=has_bias)
    rows = torch.randn(5, 7, 48)
    with torch.inference_mode():
        found, whole = Int8Linear(linear)(rows), linear(rows)
        assert found.shape == whole.shape
        assert (found - whole).norm() / whole.norm() < 0.03
        alone = Int8Linear(linear)(rows[2, 3])
        among = Int8Linear(linear)(torch.cat([rows[2:3, 3], 1000 * torch.randn(31, 48)]))[0]
    assert torch.equal(alone, found[2, 3]), "integers: to the bit"
    assert torch.equal(alone, among)


def test_rows_of_nothing_stay_nothing() -> None:
    linear = nn.Linear(8, 3, bias=False)
    with torch.inference_mode():
        assert not Int8Linear(linear)(torch.zeros(2, 8)).any()


def test_a_network_keeps_its_tables_and_answers_nearly_the_same() -> None:
    torch.manual_seed(2)
    config = NetworkConfig(
        "hanlin-decoder", 40, embedding_size=32, hidden_size=32, num_attention_heads=2, intermediate_size=64, max_position_embeddings=32,
        bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    network = build_generator(config).eval()
    ids = torch.randint(4, 40, (3, 9))
    with torch.inference_mode():
        before = network(ids, torch.ones_like(ids)).log_softmax(-1)
        table = network.decoder.tokens.weight.clone()
        after = to_int8(network)(ids, torch.ones_like(ids)).log_softmax(-1)
    assert not any(type(layer) is nn.Linear for layer in network.modules())
    assert torch.equal(network.decoder.tokens.weight, table)
    assert ((before - after) * before.exp()).sum(-1).max() < 0.01
