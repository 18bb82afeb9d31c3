"""The tagger: a row of logits a token, whatever stands beside its row; and what its folder says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hanlin.errors import InvalidInput
from hanlin.networks.config import MODEL_TYPES, NetworkConfig
from hanlin.networks.head import KEY, Head
from hanlin.networks.loading import build, load_model, save_network
from hanlin.networks.tagger import TokenTagger

CONFIG = NetworkConfig(
    model_type="hanlin-lstm", vocab_size=40, labels=("O", "B-A", "I-A"), embedding_size=8, hidden_size=8, num_attention_heads=2,
    intermediate_size=16, ngram_buckets=64, ngram_sizes=(2, 3), output="token_logits",
)  # fmt: skip
MASK = torch.tensor([[1] * 9, [1] * 4 + [0] * 5])


def made(model_type: str, **changes: object) -> TokenTagger:
    torch.manual_seed(0)
    positions = {"max_position_embeddings": 32} if model_type == "hanlin-transformer" else {}
    network = build(replace(CONFIG, model_type=model_type, **positions, **changes))
    assert isinstance(network, TokenTagger)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.4)
    return network.eval()


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_token_is_judged_alike_alone_and_padded_and_after_saving(tmp_path: Path, model_type: str) -> None:
    network = made(model_type)
    ids = torch.randint(1, 40, MASK.shape) * MASK
    with torch.inference_mode():
        both = network(ids, MASK)
        assert both.shape == (2, 9, 3)
        torch.testing.assert_close(both[1:, :4], network(ids[1:, :4], MASK[1:, :4]), atol=1e-5, rtol=1e-5)
        save_network(network, tmp_path)
        torch.testing.assert_close(load_model(tmp_path)(ids, MASK), both, atol=1e-6, rtol=1e-6)
    assert Head.load(tmp_path) == Head("token_logits")


def test_kinds_of_tokens_change_the_answer(tmp_path: Path) -> None:
    network = made("hanlin-gru", num_types=2)
    ids, types = torch.randint(1, 40, (1, 6)), torch.tensor([[0, 0, 1, 0, 0, 0]])
    mask = torch.ones_like(ids)
    save_network(network, tmp_path)
    assert Head.load(tmp_path).inputs == ("input_ids", "attention_mask", "token_type_ids")
    again = load_model(tmp_path)
    with torch.inference_mode():
        assert torch.equal(again(ids, mask, types), network(ids, mask, types))
        assert not torch.allclose(network(ids, mask, types), network(ids, mask, torch.zeros_like(types)))


@pytest.mark.parametrize(
    "change", [{"output": "logits"}, {KEY: None}, {KEY: {"output": "embeddings"}}, {"num_types": 99}, {"output": "words"}]
)
def test_a_folder_that_contradicts_itself_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    save_network(made("hanlin-lstm"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(InvalidInput) as caught:
        NetworkConfig.load(tmp_path)
    assert caught.value.code == "invalid_network_config"


def test_a_tagger_has_no_wide_road() -> None:
    with pytest.raises(InvalidInput):
        replace(CONFIG, wide_sizes=(1,), wide_buckets=8)
