"""A network that writes and starts from an encoder reads as that encoder does, whatever stands beside a row, and comes back from disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.generation import GenerationSettings
from hanlin.networks.config import NetworkConfig
from hanlin.networks.encoder_form import ENCODER_TYPES
from hanlin.networks.encoder_start import start_from_encoder
from hanlin.networks.generation.run import generate, step_model
from hanlin.networks.loading import load_own_generator, save_network
from hanlin.networks.seq2seq import EncoderDecoder

VOCABULARY = 60
SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 40,
}  # fmt: skip
DISTILLED = {"vocab_size": VOCABULARY, "dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 40}
MORE: dict[str, dict[str, object]] = {
    "distilbert": DISTILLED, "electra": {"embedding_size": 32}, "ernie": {"use_task_id": True, "task_type_vocab_size": 3},
}  # fmt: skip
PADDING = {"roberta": 1, "camembert": 1, "xlm-roberta": 1}


def save_encoder(folder: Path, kind: str, **more: object) -> nn.Module:
    """Random weights, far from what they begin as: norms and biases that do nothing would hide where they belong."""
    torch.manual_seed(0)
    sizes = {} if kind == "distilbert" else SIZES
    config = transformers.AutoConfig.for_model(kind, **{**sizes, "pad_token_id": PADDING.get(kind, 0), **MORE.get(kind, {}), **more})
    model = transformers.AutoModelForMaskedLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder)
    return model.base_model


def start(folder: Path, **more: object) -> EncoderDecoder:
    torch.manual_seed(1)
    pad = json.loads((folder / "config.json").read_text())["pad_token_id"]
    asked = {"layers": 2, "positions": 24, "dropout": 0.0, "pad": pad, "begin": 2, "end": 3, "num_tokens": VOCABULARY, **more}
    return start_from_encoder(folder, **asked)  # type: ignore[arg-type]


def rows(pad: int) -> tuple[Tensor, Tensor]:
    ids = torch.randint(4, VOCABULARY, (3, 9), generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(ids)
    mask[0, 6:], mask[2, 1:] = 0, 0
    return ids.masked_fill(mask == 0, pad), mask


@pytest.mark.parametrize("kind", ENCODER_TYPES)
def test_it_reads_as_the_encoder_does(tmp_path: Path, kind: str) -> None:
    encoder, network = save_encoder(tmp_path, kind), start(tmp_path)
    ids, mask = rows(PADDING.get(kind, 0))
    with torch.inference_mode():
        wanted = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        for module in (network, network.train()):  # torch's kernel, and the lines that say the same
            found = module.encoder(ids, mask)
            gap = float((found - wanted)[mask.bool()].abs().max())
            assert gap < 2e-6 * float(wanted.abs().max()), gap
            module.eval()


def test_the_decoder_shares_the_encoders_tokens_and_is_new(tmp_path: Path) -> None:
    encoder, network = save_encoder(tmp_path, "bert"), start(tmp_path, num_tokens=VOCABULARY + 5)
    table = network.decoder.output.weight
    assert table is network.encoder.tokens.weight
    torch.testing.assert_close(table[:VOCABULARY], encoder.embeddings.word_embeddings.weight, atol=0, rtol=0)
    assert len(table) == VOCABULARY + 5
    assert 0.5 < float(table[VOCABULARY:].detach().std() / table[:VOCABULARY].detach().std()) < 2
    assert start(tmp_path, num_tokens=VOCABULARY - 4).decoder.output.weight.shape == (VOCABULARY - 4, 32)
    assert (network.config.max_position_embeddings, network.config.longest_source) == (24, 40)


def test_saved_and_loaded_it_writes_the_same_alone_and_in_a_batch(tmp_path: Path) -> None:
    save_encoder(tmp_path / "base", "roberta")
    network = start(tmp_path / "base")
    (tmp_path / "saved").mkdir()
    save_network(network, tmp_path / "saved")
    again = load_own_generator(tmp_path / "saved")
    assert again.config == network.config
    ids, mask = rows(1)
    texts = [row[kept.bool()].tolist() for row, kept in zip(ids, mask, strict=True)]
    for beams in (1, 3):
        settings = [GenerationSettings(max_new_tokens=8, num_beams=beams)] * len(texts)
        together = generate(step_model(network), texts, settings)
        assert [generate(step_model(again), [text], settings[:1])[0].ids for text in texts] == [one.ids for one in together]


@pytest.mark.parametrize(
    ("kind", "values", "name"),
    [
        ("bert", {"hidden_act": "relu"}, "hidden_act"),
        ("distilbert", {"activation": "relu"}, "hidden_act"),
        ("electra", {"embedding_size": 16}, "embedding_size"),
        ("bert", {"hidden_size": 36, "num_attention_heads": 4}, "hidden_size"),
    ],
)
def test_an_encoder_of_another_form_is_refused(tmp_path: Path, kind: str, values: dict[str, object], name: str) -> None:
    save_encoder(tmp_path, kind, **values)
    with pytest.raises(InvalidInput) as caught:
        start(tmp_path)
    assert (caught.value.code, caught.value.params["name"]) == ("encoder_cannot_start", name)


@pytest.mark.parametrize(
    "changes", [{"encoder": "gpt"}, {"encoder_positions": 0}, {"layer_norm_eps": 0.0}, {"model_type": "hanlin-decoder"}, {"encoder": "own"}]
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    save_encoder(tmp_path, "bert")
    start(tmp_path).config.save(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | changes))
    with pytest.raises(InvalidInput) as caught:
        NetworkConfig.load(tmp_path)
    assert caught.value.code == "invalid_network_config"
