"""A vocabulary cut to what texts use: fewer rows, the same logits on such texts, smaller pieces or `<unk>` on others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from hanlin.errors import InvalidInput
from hanlin.models.prune_vocabulary import EMBEDDING, prune_vocabulary
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import load_model, save_network
from hanlin.networks.wide import WideRoad
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.training.batches import collate

# Unused pieces stand before and between the special ones, so every id moves.
PIECES = [
    "▁zebra", "▁quagga", "<s>", "lion", "<pad>", "</s>", "<unk>", "▁好", "好的", "的", "服", "务", "服务", "▁", "好",
    "▁very", "▁good", "g", "o", "d", "v", "e", "r", "y", "z", "▁extra",
]  # fmt: skip
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")
KEPT_TEXTS = ["好的 服务", "very good", "好 very 服务", "good good 的"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder = tmp_path / "source"
    folder.mkdir()
    ids = {piece: number for number, piece in enumerate(PIECES)}
    scores = [0.0 if piece in SPECIALS else -1.0 - 1.0 / len(piece) if len(piece) > 1 else -6.0 for piece in PIECES]
    tokenizer = Tokenizer(models.Unigram(list(zip(PIECES, scores, strict=True)), unk_id=ids["<unk>"]))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[(word, ids[word]) for word in ("<s>", "</s>")])
    save_tokenizer(tokenizer, folder)
    torch.manual_seed(2)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40}
    specials = {"pad_token_id": ids["<pad>"], "bos_token_id": ids["<s>"], "eos_token_id": ids["</s>"]}
    config = AutoConfig.for_model("bert", vocab_size=len(PIECES), **sizes, **specials)
    save_network(PretrainedClassifier(AutoModelForSequenceClassification.from_config(config).eval()), folder)
    ModelSpec("text-classification", ("bad", "good"), 32, ids["<pad>"]).save(folder)
    return folder


def logits(folder: Path, texts: list[str]) -> torch.Tensor:
    encoder = TextEncoder.load(folder)
    with torch.inference_mode():
        return load_model(folder)(*collate(encoder.encode(texts), encoder.pad_id))


def pieces(folder: Path, text: str) -> list[str]:
    return list(Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).tokens)


def is_unknown(folder: Path, text: str) -> bool:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return tokenizer.token_to_id("<unk>") in tokenizer.encode(text).ids


def test_the_same_logits_on_texts_of_the_kept_vocabulary(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    count = prune_vocabulary(source, out, KEPT_TEXTS)
    assert count < len(PIECES)
    kept = set(Tokenizer.from_file(str(out / "tokenizer.json")).get_vocab())
    assert len(kept) == count
    assert {*SPECIALS, "▁very", "▁good", "服务"} <= kept
    assert not {"▁zebra", "▁quagga", "lion", "▁extra", "z"} & kept
    rows = next(tensor for name, tensor in load_file(out / "model.safetensors").items() if name.endswith(EMBEDDING))
    assert len(rows) == count == json.loads((out / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    for text in KEPT_TEXTS:
        assert pieces(out, text) == pieces(source, text)
    torch.testing.assert_close(logits(out, KEPT_TEXTS), logits(source, KEPT_TEXTS), rtol=0, atol=1e-6)


def test_special_tokens_move_together_in_all_files(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    prune_vocabulary(source, out, KEPT_TEXTS)
    ids = Tokenizer.from_file(str(out / "tokenizer.json")).get_vocab()
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert [config[f"{name}_token_id"] for name in ("bos", "pad", "eos")] == [ids["<s>"], ids["<pad>"], ids["</s>"]]
    assert ids["<pad>"] != PIECES.index("<pad>")
    assert ModelSpec.load(out) == replace(ModelSpec.load(source), pad_id=ids["<pad>"])


def test_other_texts_are_read_in_smaller_pieces_and_unseen_characters_are_unknown(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    prune_vocabulary(source, out, [*KEPT_TEXTS, "very very"], min_count=3)  # only what is frequent stays whole
    assert "▁very" in pieces(out, "very")
    assert pieces(source, "服务") != pieces(out, "服务")
    assert not is_unknown(out, "服务")
    assert is_unknown(out, "zebra")
    assert not is_unknown(source, "zebra")


def test_a_tokenizer_that_is_not_unigram_is_refused(tmp_path: Path, source: Path) -> None:
    save_tokenizer(train_tokenizer(["a b c"], "bpe", 20, min_count=1), source)
    with pytest.raises(InvalidInput) as caught:
        prune_vocabulary(source, tmp_path / "out", ["a b"])
    assert caught.value.code == "cannot_prune"
    assert not (tmp_path / "out").exists()


def test_a_linear_road_stays_behind(tmp_path: Path, source: Path) -> None:
    module = load_model(source)
    module.widen(WideRoad(vocab_size=len(PIECES), num_labels=2, sizes=(1, 2), buckets=16), deep=1.0)
    save_network(module, source)
    prune_vocabulary(source, tmp_path / "out", KEPT_TEXTS)
    assert load_model(source).wide is not None
    assert load_model(tmp_path / "out").wide is None
