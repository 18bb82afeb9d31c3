"""Every network: answers do not depend on padding or neighbours, save and load give the same, the recurrences are the textbook's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.networks.classifier import TextClassifier
from hanlin.networks.config import MODEL_TYPES, NetworkConfig
from hanlin.networks.dropout import Dropout, replace_dropout
from hanlin.networks.embedding import hash_ngrams, ngram_codes, sinusoids
from hanlin.networks.loading import build, load_model, load_network, save_network
from hanlin.networks.pooling import gather_rows, masked_max, masked_mean, reverse_index
from hanlin.networks.recurrent import RecurrentEncoder
from hanlin.networks.transformer import MultiHeadAttention


def config_of(model_type: str, **changes: object) -> NetworkConfig:
    ngrams = {} if model_type == "hanlin-transformer" else {"ngram_buckets": 64, "ngram_sizes": (2, 3)}
    values = {
        "vocab_size": 30,
        "labels": ("no", "yes", "翰"),
        "embedding_size": 8,
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 32,
        **ngrams,
        **changes,
    }
    return NetworkConfig(model_type, **values)  # type: ignore[arg-type]


def network_of(model_type: str, **changes: object) -> TextClassifier:
    torch.manual_seed(7)
    return build(config_of(model_type, **changes)).eval()


def answer(network: nn.Module, rows: list[list[int]], *, extra: int = 0) -> Tensor:
    length = max(map(len, rows)) + extra
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
    with torch.inference_mode():
        return network(ids, mask)


ROWS = [[5], [3, 4, 5, 6, 7, 8, 9, 10, 11], [1, 1], [29, 2, 17, 2]]


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("extra", [0, 1, 13])
def test_alone_batched_and_padded_give_the_same(model_type: str, extra: int) -> None:
    network = network_of(model_type)
    alone = torch.cat([answer(network, [row]) for row in ROWS])
    torch.testing.assert_close(answer(network, ROWS, extra=extra), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_padding_content_does_not_matter(model_type: str) -> None:
    network = network_of(model_type)
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    with torch.inference_mode():
        clean = network(torch.tensor([[5, 6, 7, 0, 0]]), mask)
        dirty = network(torch.tensor([[5, 6, 7, 28, 13]]), mask)
    torch.testing.assert_close(clean, dirty, atol=1e-6, rtol=0)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("changes", [{}, {"positions": "learned"}, {"bidirectional": False, "ngram_sizes": (), "ngram_buckets": 0}])
def test_saved_and_loaded_answers_are_the_same_bits(tmp_path: Path, model_type: str, changes: dict[str, object]) -> None:
    network = network_of(model_type, **changes)
    save_network(network, tmp_path)
    assert torch.equal(answer(load_network(tmp_path), ROWS), answer(network, ROWS))
    assert load_model(tmp_path, dtype="bf16").classifier.weight.dtype == torch.bfloat16
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "no", "1": "yes", "2": "翰"}
    assert config["model_type"] == model_type


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_learns_a_handful_of_examples(model_type: str) -> None:
    network = network_of(model_type, dropout=0.0, embedding_dropout=0.0).train()
    ids = torch.tensor([[3, 4, 5], [5, 4, 3], [7, 8, 9], [9, 8, 7], [3, 8, 5], [5, 8, 3]])
    gold = torch.tensor([0, 1, 2, 0, 1, 2])  # order decides, so a bag of tokens would fail
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(100):
        loss = nn.functional.cross_entropy(network(ids, torch.ones_like(ids)), gold)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    assert answer(network.eval(), ids.tolist()).argmax(1).tolist() == gold.tolist()


def by_hand(layer: nn.RNN | nn.LSTM | nn.GRU, inputs: Tensor) -> Tensor:
    """The textbook equations, one step at a time. inputs (length, size) → (length, hidden)."""
    hidden = cell = torch.zeros(layer.hidden_size)
    found = []
    for x in inputs:
        from_x = layer.weight_ih_l0 @ x + layer.bias_ih_l0
        from_h = layer.weight_hh_l0 @ hidden + layer.bias_hh_l0
        if isinstance(layer, nn.LSTM):
            i, f, g, o = (from_x + from_h).chunk(4)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
        elif isinstance(layer, nn.GRU):
            (xr, xz, xn), (hr, hz, hn) = from_x.chunk(3), from_h.chunk(3)
            update = (xz + hz).sigmoid()
            hidden = (1 - update) * (xn + (xr + hr).sigmoid() * hn).tanh() + update * hidden
        else:
            hidden = (from_x + from_h).tanh()
        found.append(hidden)
    return torch.stack(found)


@pytest.mark.parametrize("model_type", MODEL_TYPES[:3])
def test_recurrence_is_the_textbooks_in_both_directions(model_type: str) -> None:
    torch.manual_seed(1)
    encoder = RecurrentEncoder(config_of(model_type, num_hidden_layers=1)).eval()
    vectors = torch.randn(1, 6, 8)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0]])
    with torch.inference_mode():
        found = encoder(vectors, mask)[0, :4]
        forward = by_hand(encoder.forwards[0], vectors[0, :4])  # type: ignore[arg-type]
        backward = by_hand(encoder.backwards[0], vectors[0, :4].flip(0)).flip(0)  # type: ignore[arg-type]
    torch.testing.assert_close(found, torch.cat([forward, backward], 1), atol=1e-5, rtol=1e-5)


def test_attention_is_torchs() -> None:
    torch.manual_seed(2)
    ours, theirs = MultiHeadAttention(8, 2, 0.0), nn.MultiheadAttention(8, 2, batch_first=True)
    parts = (ours.query, ours.key, ours.value)
    theirs.in_proj_weight.data = torch.cat([part.weight.data for part in parts])
    theirs.in_proj_bias.data = torch.cat([part.bias.data for part in parts])
    theirs.out_proj.load_state_dict(ours.output.state_dict())
    hidden, mask = torch.randn(2, 5, 8), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    found = ours(hidden, (1 - mask[:, None, None, :].float()) * -1e4)
    expected, _ = theirs(hidden, hidden, hidden, key_padding_mask=mask == 0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_sinusoids_hold_the_paper_formula() -> None:
    table = sinusoids(50, 8)
    assert table[0].tolist() == [0.0, 1.0] * 4
    torch.testing.assert_close(table[13, 2], torch.tensor(13 / 10_000 ** (2 / 8)).sin())


@given(st.lists(st.lists(st.integers(0, 40_000), min_size=1, max_size=12), min_size=1, max_size=4), st.integers(2, 4))
@settings(max_examples=50, deadline=None)
def test_ngram_buckets_are_a_function_of_the_run_alone(rows: list[list[int]], size: int) -> None:
    buckets = 2**17
    codes = ngram_codes(40_001, size, buckets)
    longest = max(map(len, rows))
    padded = torch.tensor([row + [9] * (longest - len(row)) for row in rows])
    found = hash_ngrams(padded, codes, buckets)
    for row, line in zip(rows, found.tolist(), strict=True):
        for position in range(len(row)):
            run = row[max(0, position + 1 - size) : position + 1]
            expected = sum(int(codes[size - len(run) + place, token]) for place, token in enumerate(run)) % buckets
            assert line[position] == expected


@pytest.mark.parametrize("buckets", [2**15, 2**17, 2**20, 2**22])
def test_pairs_collide_no_more_than_chance(buckets: int) -> None:
    pairs = torch.cartesian_prod(torch.arange(100), torch.arange(100))
    found = hash_ngrams(pairs, ngram_codes(50_000, 2, buckets), buckets)[:, 1]
    expected = buckets * (1 - (1 - 1 / buckets) ** len(pairs))  # distinct buckets of as many random throws
    assert len(found.unique()) == pytest.approx(expected, rel=0.02)


def test_codes_of_saved_networks_never_change() -> None:
    assert ngram_codes(3, 2, 2**17).tolist() == [[118191, 91636, 83279], [33260, 29851, 41706]]


def test_pooling_sees_real_tokens_only() -> None:
    hidden = torch.tensor([[[1.0], [-3.0], [50.0]]])
    mask = torch.tensor([[1, 1, 0]])
    assert masked_mean(hidden, mask).item() == -1.0
    assert masked_max(hidden, mask).item() == 1.0
    index = reverse_index(mask)
    assert index.tolist() == [[1, 0, 2]]
    assert torch.equal(gather_rows(gather_rows(hidden, index), index), hidden)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"model_type": "bert"}, "model_type"),
        ({"vocab_size": 0}, "vocab_size"),
        ({"hidden_size": "x"}, ""),
        ({"unknown": 1}, "unknown"),
        ({"id2label": {"0": "a", "2": "b"}}, "id2label"),
        ({"dropout": 1.0}, "dropout"),
        ({"ngram_buckets": 2**22 + 1}, "ngram_buckets"),
    ],
)
def test_a_wrong_config_is_refused_by_name(tmp_path: Path, change: dict[str, object], name: str) -> None:
    save_network(network_of("hanlin-lstm"), tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        load_network(tmp_path)
    assert caught.value.code == "invalid_network_config"
    assert name in str(caught.value)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    save_network(network_of("hanlin-lstm"), tmp_path)
    config_of("hanlin-lstm", num_hidden_layers=3).save(tmp_path)
    with pytest.raises(InvalidInput, match="do not fit"):
        load_network(tmp_path)
    config_of("hanlin-lstm", hidden_size=9).save(tmp_path)
    with pytest.raises(InvalidInput, match="do not fit"):
        load_network(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no")
    with pytest.raises(InvalidInput, match="do not fit"):
        load_network(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_keeps_the_mean_and_drops_its_share(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = Dropout(0.25)
    ones = torch.ones(333, 301, dtype=dtype)
    found = layer(ones).float()
    assert (found == 0).float().mean().item() == pytest.approx(0.25, abs=0.005)
    assert (found[:, ::8] == 0).float().mean().item() == pytest.approx(
        (found[:, 7::8] == 0).float().mean().item(), abs=0.02
    )  # all bytes alike
    assert found.mean().item() == pytest.approx(1.0, abs=0.01)
    assert layer.eval()(ones) is ones


def test_dropout_is_replaced_everywhere_and_weights_keep_their_names() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.1))).eval()
    names = list(module.state_dict())
    replace_dropout(module)
    assert [layer.p for layer in module.modules() if isinstance(layer, Dropout)] == [0.5, 0.1]
    assert not any(isinstance(layer, nn.Dropout) for layer in module.modules())
    assert not any(layer.training for layer in module.modules())
    assert list(module.state_dict()) == names
