"""Networks that write: token by token is all at once, batched is single, saved and loaded is the same, reversing is learnt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.networks.config import GENERATOR_TYPES, RECURRENT_WRITERS, NetworkConfig
from hanlin.networks.decoder import CausalDecoder
from hanlin.networks.kv_cache import DecoderCache
from hanlin.networks.loading import Generator, build_generator, load_model, load_own_generator, save_network
from hanlin.networks.seq2seq import EncoderDecoder

POSITIONS = ["sinusoidal", "learned", "rotary"]
CLOSE = {"atol": 1e-5, "rtol": 0.0}
ROWS = [[5], [3, 4, 5, 6, 7, 8, 9, 10, 11], [1, 9], [29, 2, 17, 2]]


def config_of(model_type: str, **changes: object) -> NetworkConfig:
    values = {
        "embedding_size": 16, "hidden_size": 16, "num_hidden_layers": 2, "num_decoder_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 96, "bos_token_id": 1, "eos_token_id": 2, **changes,
    }  # fmt: skip
    return NetworkConfig(model_type, 30, **values)  # type: ignore[arg-type]


def network_of(model_type: str, **changes: object) -> Generator:
    torch.manual_seed(7)
    return build_generator(config_of(model_type, **changes)).eval()


def padded(rows: list[list[int]], *, is_left: bool = False) -> tuple[Tensor, Tensor]:
    length = max(map(len, rows)) + 2
    ids, mask = [], []
    for row in rows:
        fill = [0] * (length - len(row))
        ids.append(fill + row if is_left else row + fill)
        mask.append([0] * len(fill) + [1] * len(row) if is_left else [1] * len(row) + [0] * len(fill))
    return torch.tensor(ids), torch.tensor(mask)


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_token_at_a_time_is_the_whole_at_once(positions: str) -> None:
    network = network_of("hanlin-decoder", positions=positions)
    assert isinstance(network, CausalDecoder)
    ids = torch.randint(30, (3, 80), generator=torch.Generator().manual_seed(1))  # more than the cache first has room for
    with torch.inference_mode():
        whole = network(ids, torch.ones_like(ids))
        cache = DecoderCache.empty(2, 3)
        pieces = [
            network.decoder(ids[:, a:b], torch.ones_like(ids[:, a:b]), cache)
            for a, b in [(0, 5), (5, 7), *((n, n + 1) for n in range(7, 80))]
        ]
    torch.testing.assert_close(torch.cat(pieces, 1), whole, **CLOSE)


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_decoder_ignores_padding_on_either_side(positions: str) -> None:
    network = network_of("hanlin-decoder", positions=positions)
    with torch.inference_mode():
        right, left = network(*padded(ROWS)), network(*padded(ROWS, is_left=True))
        for number, row in enumerate(ROWS):
            alone = network(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.long))[0]
            torch.testing.assert_close(right[number, : len(row)], alone, **CLOSE)
            torch.testing.assert_close(left[number, -len(row) :], alone, **CLOSE)


@pytest.mark.parametrize("positions", POSITIONS)
def test_an_encoder_decoder_alone_batched_and_step_by_step_is_the_same(positions: str) -> None:
    network = network_of("hanlin-seq2seq", positions=positions)
    assert isinstance(network, EncoderDecoder)
    target = torch.tensor([[1, 4, 5, 6]] * len(ROWS))
    with torch.inference_mode():
        together = network(*padded(ROWS), target, torch.ones_like(target))
        cache = network.start(*padded(ROWS))
        cache = cache.pick(torch.tensor([2, 0, 0]))  # rows may go, move and come twice
        steps = [network.decoder(target[:3, n : n + 1], torch.ones(3, 1, dtype=torch.long), cache) for n in range(4)]
        for number, row in enumerate(ROWS):
            alone = network(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.long), target[:1], torch.ones(1, 4, dtype=torch.long))
            torch.testing.assert_close(together[number : number + 1], alone, **CLOSE)
    torch.testing.assert_close(torch.cat(steps, 1), together[[2, 0, 0]], **CLOSE)


def test_no_token_sees_a_later_one() -> None:
    network = network_of("hanlin-decoder")
    ids = torch.tensor([[3, 4, 5, 6]])
    changed = torch.tensor([[3, 4, 9, 9]])
    with torch.inference_mode():
        one, other = network(ids, torch.ones_like(ids)), network(changed, torch.ones_like(ids))
    torch.testing.assert_close(one[:, :2], other[:, :2], **CLOSE)
    assert (one[:, 2] - other[:, 2]).abs().max() > 1e-3


def test_the_decoder_block_is_torchs_decoder_layer() -> None:
    network = network_of("hanlin-seq2seq", dropout=0.0)
    assert isinstance(network, EncoderDecoder)
    block = network.decoder.blocks[0]
    for weight in block.parameters():
        nn.init.normal_(weight, std=0.3)
    theirs = nn.TransformerDecoderLayer(16, 2, 32, activation="gelu", batch_first=True, norm_first=True).eval()
    state, parts = block.state_dict(), ("query", "key", "value")
    copied = {}
    for kind in ("weight", "bias"):
        for name, ours in (("self_attn", "attention"), ("multihead_attn", "source_attention")):
            copied[f"{name}.in_proj_{kind}"] = torch.cat([state[f"{ours}.{part}.{kind}"] for part in parts])
            copied[f"{name}.out_proj.{kind}"] = state[f"{ours}.output.{kind}"]
        names = {"linear1": "expand", "linear2": "contract", "norm1": "attention_norm", "norm2": "source_norm", "norm3": "feedforward_norm"}
        copied |= {f"{name}.{kind}": state[f"{ours}.{kind}"] for name, ours in names.items()}
    theirs.load_state_dict(copied)
    hidden, memory = torch.randn(2, 4, 16), torch.randn(2, 3, 16)
    memory_mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    cache = DecoderCache.empty(1, 2)
    cache.source = [block.source_attention.remember(memory)]
    cache.source_bias = (1 - memory_mask[:, None, None, :].float()) * -1e4
    causal = torch.full((4, 4), float("-inf")).triu(1)
    with torch.no_grad():
        expected = theirs(hidden, memory, tgt_mask=causal, memory_key_padding_mask=memory_mask == 0)
        found = block.read(hidden, causal.clamp(min=-1e4)[None, None], None, cache, 0)
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": False}, {"positions": "rotary"}, {"positions": "learned"}])
@pytest.mark.parametrize("model_type", GENERATOR_TYPES)
def test_saved_and_loaded_answers_are_the_same_bits(tmp_path: Path, model_type: str, changes: dict[str, object]) -> None:
    network = network_of(model_type, **changes)
    save_network(network, tmp_path)
    again = load_own_generator(tmp_path)
    assert again.config == network.config
    arguments = padded(ROWS) * (2 if model_type == "hanlin-seq2seq" else 1)
    with torch.inference_mode():
        assert torch.equal(again(*arguments), network(*arguments))
    assert {weight.dtype for weight in load_model(tmp_path, dtype="bf16").parameters()} == {torch.bfloat16}
    tables = [name for name, tensor in load_file(tmp_path / "model.safetensors").items() if tensor.shape == (30, 16)]
    is_tied = changes.get("tie_word_embeddings", True)
    assert len(tables) == (1 if is_tied else 3 if model_type == "hanlin-seq2seq" else 2)


def test_bf16_keeps_the_angles_of_late_tokens() -> None:
    network = network_of("hanlin-decoder", positions="rotary", max_position_embeddings=2048)
    ids, rough = torch.randint(30, (1, 40), generator=torch.Generator().manual_seed(1)), 0.2
    far = torch.cat([torch.zeros(1, 1500, dtype=torch.long), ids], 1)
    mask = torch.ones_like(far)
    with torch.inference_mode():
        exact = network(far, mask)[:, -1]
        found = network.to(torch.bfloat16)(far, mask)[:, -1].float()
    assert (found - exact).abs().max() < rough * exact.abs().max()


@pytest.mark.parametrize("model_type", GENERATOR_TYPES)
def test_learns_to_write_what_it_read_backwards(model_type: str) -> None:
    network = network_of(model_type, dropout=0.0, embedding_dropout=0.0, hidden_size=32, embedding_size=32).train()
    sources = torch.randint(3, 12, (16, 4), generator=torch.Generator().manual_seed(1))
    targets = torch.cat([torch.full((16, 1), 1), sources.flip(1), torch.full((16, 1), 2)], 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-2 if model_type in RECURRENT_WRITERS else 5e-3)
    for _ in range(150):
        if isinstance(network, EncoderDecoder):
            scores = network(sources, torch.ones_like(sources), targets[:, :-1], torch.ones_like(targets[:, :-1]))
        else:
            row = torch.cat([sources, targets], 1)
            scores = network(row, torch.ones_like(row))[:, 4:-1]
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), targets[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert scores.argmax(-1).tolist() == targets[:, 1:].tolist()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"id2label": {"0": "a", "1": "b"}}, "labels"),
        ({"embedding_size": 8}, "embedding_size"),
        ({"num_decoder_layers": 0}, "num_decoder_layers"),
        ({"bos_token_id": 30}, "bos_token_id"),
        ({"eos_token_id": 0}, "eos_token_id"),
        ({"max_position_embeddings": 0}, "max_position_embeddings"),
        ({"hidden_size": 18, "embedding_size": 18}, "hidden_size"),
        ({"ngram_sizes": [2], "ngram_buckets": 4}, "ngram_sizes"),
        ({"positions": "odd"}, "positions"),
    ],
)
def test_a_wrong_config_is_refused_by_name(tmp_path: Path, change: dict[str, object], name: str) -> None:
    save_network(network_of("hanlin-seq2seq"), tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        load_own_generator(tmp_path)
    assert caught.value.code == "invalid_network_config"
    assert name in str(caught.value)


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    save_network(network_of("hanlin-decoder"), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}), encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        load_own_generator(tmp_path)
    assert caught.value.code == "weights_do_not_fit"
    assert "output.weight" in str(caught.value)
