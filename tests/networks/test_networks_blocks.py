"""Our blocks against torch's and transformers' modules on the same weights; readable forms against the fused kernels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from hanlin.networks.attention import MultiHeadAttention
from hanlin.networks.classifier import TextClassifier
from hanlin.networks.config import NetworkConfig
from hanlin.networks.pooling import AttentionPooling
from hanlin.networks.recurrent import LAYERS, READABLE, RecurrentEncoder
from hanlin.networks.rotary import rotary_angles, rotate
from hanlin.networks.transformer import Block, TransformerEncoder

RECURRENT = ["hanlin-rnn", "hanlin-lstm", "hanlin-gru"]
CLOSE = {"atol": 1e-5, "rtol": 0.0}


def config_of(model_type: str, **changes: object) -> NetworkConfig:
    sizes = {"embedding_size": 6, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    values = {**sizes, "max_position_embeddings": 16, **changes}
    return NetworkConfig(model_type, 20, ("no", "yes"), **values)  # type: ignore[arg-type]


def shaken(module: nn.Module) -> nn.Module:
    """With weights that are nowhere zero or one."""
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.4)
    return module.eval()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(11)


@pytest.mark.parametrize("model_type", RECURRENT)
def test_the_equations_are_the_fused_kernel(model_type: str) -> None:
    fused, readable = LAYERS[model_type](5, 7, batch_first=True), READABLE[model_type](5, 7, batch_first=True)
    readable.load_state_dict(fused.state_dict())
    inputs = torch.randn(3, 9, 5)
    torch.testing.assert_close(readable(inputs)[0], fused(inputs)[0], **CLOSE)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("model_type", RECURRENT)
def test_layers_are_torchs_and_the_readable_form_has_the_same_weights(model_type: str, bidirectional: bool) -> None:
    config = config_of(model_type, bidirectional=bidirectional)
    ours = shaken(RecurrentEncoder(config))
    theirs = LAYERS[model_type](6, 8, num_layers=2, batch_first=True, bidirectional=bidirectional)
    sides = [("forwards", "")] + ([("backwards", "_reverse")] if bidirectional else [])
    theirs.load_state_dict({
        f"{name}_l{layer}{suffix}": ours.state_dict()[f"{side}.{layer}.{name}_l0"]
        for side, suffix in sides for layer in range(2) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    })  # fmt: skip
    vectors, mask = torch.randn(2, 5, 6), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    packed = pack_padded_sequence(vectors, mask.sum(1), batch_first=True)
    expected = pad_packed_sequence(theirs(packed)[0], batch_first=True)[0]
    found = ours(vectors, mask) * mask[:, :, None]
    torch.testing.assert_close(found, expected, **CLOSE)
    readable = RecurrentEncoder(config, is_readable=True).eval()
    readable.load_state_dict(ours.state_dict())
    torch.testing.assert_close(readable(vectors, mask) * mask[:, :, None], expected, **CLOSE)


def test_the_block_is_torchs_encoder_layer() -> None:
    block = shaken(Block(config_of("hanlin-transformer")))
    theirs = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True).eval()
    state, parts = block.state_dict(), ("query", "key", "value")
    copied = {f"self_attn.in_proj_{kind}": torch.cat([state[f"attention.{part}.{kind}"] for part in parts]) for kind in ("weight", "bias")}
    names = {"self_attn.out_proj": "attention.output", "linear1": "expand", "linear2": "contract", "norm1": "attention_norm",
             "norm2": "feedforward_norm"}  # fmt: skip
    copied |= {f"{theirs_name}.{kind}": state[f"{ours}.{kind}"] for theirs_name, ours in names.items() for kind in ("weight", "bias")}
    theirs.load_state_dict(copied)
    hidden, mask = torch.randn(2, 5, 8), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    with torch.no_grad():
        found = block(hidden, (1 - mask[:, None, None, :].float()) * -1e4)
        expected = theirs(hidden, src_key_padding_mask=mask == 0)
    torch.testing.assert_close(found * mask[:, :, None], expected * mask[:, :, None], **CLOSE)


@pytest.mark.parametrize("angles", [None, rotary_angles(5, 4)])
def test_fused_attention_is_the_three_lines(angles: Tensor | None) -> None:
    plain, fused = MultiHeadAttention(8, 2, 0.0).eval(), MultiHeadAttention(8, 2, 0.0, is_fused=True).eval()
    fused.load_state_dict(plain.state_dict())
    hidden, bias = torch.randn(2, 5, 8), torch.zeros(2, 1, 5, 5)
    bias[1, :, :, 3:] = -1e4
    torch.testing.assert_close(fused(hidden, bias, angles), plain(hidden, bias, angles), **CLOSE)


def test_rotation_is_that_of_llama() -> None:
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    config = LlamaConfig(hidden_size=16, num_attention_heads=2, max_position_embeddings=32)
    query, key = torch.randn(1, 2, 7, 8), torch.randn(1, 2, 7, 8)
    cos, sin = LlamaRotaryEmbedding(config)(query, torch.arange(7)[None])
    expected = apply_rotary_pos_emb(query, key, cos, sin)
    angles = rotary_angles(7, 8)
    for ours, theirs in zip((rotate(query, angles), rotate(key, angles)), expected, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


def test_rotary_positions_know_distances_only() -> None:
    encoder = shaken(TransformerEncoder(config_of("hanlin-transformer", positions="rotary")))
    vectors = torch.randn(1, 4, 6)
    mask = torch.tensor([[0, 0, 0, 1, 1, 1, 1]])
    moved = encoder(torch.cat([torch.randn(1, 3, 6), vectors], 1), mask)[:, 3:]
    alone = encoder(vectors, torch.ones(1, 4, dtype=torch.long))
    torch.testing.assert_close(moved, alone, **CLOSE)
    assert (alone - encoder(vectors[:, [1, 0, 2, 3]], torch.ones(1, 4, dtype=torch.long))[:, [1, 0, 2, 3]]).abs().max() > 1e-3


@pytest.mark.parametrize("pooling", ["attention", "max-mean-attention"])
def test_attention_pooling_ignores_padding(pooling: str) -> None:
    network = shaken(TextClassifier(config_of("hanlin-gru", pooling=pooling)))
    alone = network(torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.long))
    padded = network(torch.tensor([[5, 6, 7, 9, 9]]), torch.tensor([[1, 1, 1, 0, 0]]))
    torch.testing.assert_close(padded, alone, **CLOSE)


def test_attention_pooling_is_a_weighted_mean() -> None:
    pooling, hidden = AttentionPooling(4), torch.randn(1, 3, 4)
    nn.init.zeros_(pooling.context.weight)  # all tokens count the same
    torch.testing.assert_close(pooling(hidden, torch.tensor([[1, 1, 0]])), hidden[:, :2].mean(1), **CLOSE)
