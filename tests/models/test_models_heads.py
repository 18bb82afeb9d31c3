"""Imports for embedding, token classification and reranking: which head a folder gets, and what it says of its vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from hanlin.errors import InvalidInput
from hanlin.models.importing import import_folder
from hanlin.models.slow_tokenizers import convert
from hanlin.networks.head import Head
from hanlin.networks.loading import load_model
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.padding import pad
from hanlin.tasks.spec import ModelSpec

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefgh", *(f"##{letter}" for letter in "abcdefgh"), "good", "bad"]
MEAN = {"word_embedding_dimension": 16, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}
PARTS = ["Transformer", "Pooling", "Normalize"]


def folder_of(path: Path, kind: str = "BertModel", *, labels: tuple[str, ...] = ("O", "B-X", "I-X")) -> Path:
    import transformers

    torch.manual_seed(5)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40}
    if kind.startswith("Distil"):
        sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 40}
    config = transformers.DistilBertConfig if kind.startswith("Distil") else transformers.BertConfig
    getattr(transformers, kind)(config(vocab_size=len(WORDS), id2label=dict(enumerate(labels)), **sizes)).eval().save_pretrained(path)
    (path / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    (path / "tokenizer.json").write_text(convert(path).to_str(), encoding="utf-8")
    return path


def sentence_folder(path: Path, pooling: dict, parts: list[str], **more: object) -> Path:
    folder_of(path)
    names = ["", *(f"{place + 1}_{part}" for place, part in enumerate(parts[1:]))]
    modules = [
        {"idx": place, "name": str(place), "path": names[place], "type": f"sentence_transformers.models.{part}"}
        for place, part in enumerate(parts)
    ]
    (path / "modules.json").write_text(json.dumps(modules))
    (path / "1_Pooling").mkdir()
    (path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    for name, value in more.items():
        (path / f"{name}.json").write_text(json.dumps(value))
    return path


def vectors(folder: Path, texts: list[str]) -> torch.Tensor:
    arrays = pad(TextEncoder.load(folder).encode(texts), 0)
    with torch.inference_mode():
        return load_model(folder)(*(torch.from_numpy(array) for array in arrays.values()))


def hidden_of(source: Path, out: Path, text: str) -> torch.Tensor:
    from transformers import AutoModel

    arrays = pad(TextEncoder.load(out).encode([text]), 0)
    with torch.inference_mode():
        model = AutoModel.from_pretrained(source, attn_implementation="eager").eval()
        return model(**{name: torch.from_numpy(array) for name, array in arrays.items()}).last_hidden_state[0]


@pytest.mark.parametrize("kind", ["BertModel", "DistilBertModel"])
def test_a_folder_that_says_nothing_gets_the_normalised_mean_and_says_so(tmp_path: Path, kind: str) -> None:
    source = folder_of(tmp_path / "source", kind)
    found = import_folder(source, tmp_path / "out", task="embedding")
    assert (found.is_base, found.is_pooling_assumed) == (False, True)
    assert (found.spec.labels, found.spec.vectors.dimensions, found.spec.vectors.is_normalized) == ((), 16, True)
    expected = torch.nn.functional.normalize(hidden_of(source, tmp_path / "out", "good a").mean(0), dim=0)
    torch.testing.assert_close(vectors(tmp_path / "out", ["good a", "bad"])[0], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("pooling", "parts", "head"),
    [
        (MEAN, PARTS, Head("embeddings", "mean", is_normalized=True)),
        (MEAN, PARTS[:2], Head("embeddings", "mean")),
        (MEAN | {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, PARTS, Head("embeddings", "cls", is_normalized=True)),
        ({"pooling_mode": "max"}, PARTS[:2], Head("embeddings", "max")),
    ],
)
def test_a_folder_of_sentence_transformers_keeps_its_parts(tmp_path: Path, pooling: dict, parts: list[str], head: Head) -> None:
    prompts = {"prompts": {"query": "ask: ", "document": ""}, "default_prompt_name": "query"}
    more = {"config_sentence_transformers": prompts, "sentence_bert_config": {"max_seq_length": 24}}
    source = sentence_folder(tmp_path / "source", pooling, parts, **more)
    found = import_folder(source, tmp_path / "out", task="embedding")
    assert (found.head, found.is_pooling_assumed, found.spec.max_length) == (head, False, 24)
    assert (found.spec.vectors.prompts, found.spec.vectors.default_prompt) == ((("query", "ask: "),), "query")
    hidden = hidden_of(source, tmp_path / "out", "good a")
    pooled = {"mean": hidden.mean(0), "cls": hidden[0], "max": hidden.amax(0)}[head.pooling]
    expected = torch.nn.functional.normalize(pooled, dim=0) if head.is_normalized else pooled
    torch.testing.assert_close(vectors(tmp_path / "out", ["good a"])[0], expected, atol=1e-5, rtol=0)
    again = import_folder(tmp_path / "out", tmp_path / "again", task="embedding")  # as `model export` would bring it back
    assert (again.head, again.spec) == (found.head, found.spec)


@pytest.mark.parametrize(
    ("pooling", "parts"),
    [
        (MEAN | {"pooling_mode_cls_token": True}, PARTS),
        (MEAN | {"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}, PARTS),
        (MEAN | {"include_prompt": False}, PARTS),
        ({"pooling_mode": "weightedmean"}, PARTS),
        (MEAN, ["Transformer", "Pooling", "Dense"]),
        (MEAN, ["Transformer", "Pooling", "Dense", "Normalize"]),
    ],
)
def test_vectors_that_cannot_be_served_are_refused(tmp_path: Path, pooling: dict, parts: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        import_folder(sentence_folder(tmp_path / "source", pooling, parts), tmp_path / "out", task="embedding")
    assert caught.value.code in {"unsupported_pooling", "missing_file"}
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", ["..", "../secret", "a/b", "a\\b", "a\0b", "a" * 5000, "文" * 100])
def test_modules_outside_of_the_folder_are_not_read(tmp_path: Path, path: str) -> None:
    source = sentence_folder(tmp_path / "source", MEAN, PARTS)
    modules = json.loads((source / "modules.json").read_text())
    modules[1]["path"] = path
    (source / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InvalidInput) as caught:
        import_folder(source, tmp_path / "out", task="embedding")
    assert caught.value.code == "not_strict_json"


def test_a_tagger_keeps_its_labels(tmp_path: Path) -> None:
    found = import_folder(folder_of(tmp_path / "source", "BertForTokenClassification"), tmp_path / "out", task="token-classification")
    assert (found.head, found.is_base, found.spec.labels) == (Head("token_logits"), False, ("O", "B-X", "I-X"))
    assert vectors(tmp_path / "out", ["good a", "bad"]).shape == (2, 4, 3)
    assert Head.load(tmp_path / "out") == Head("token_logits")


def test_a_cross_encoder_reads_token_types_and_an_encoder_without_head_ranks_by_cosine(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", "BertForSequenceClassification", labels=("LABEL_0",))
    found = import_folder(source, tmp_path / "out", task="reranking")
    assert (found.head, found.spec.labels, found.spec.vectors) == (Head("logits", has_types=True), ("LABEL_0",), None)
    plain = import_folder(folder_of(tmp_path / "plain"), tmp_path / "ranker", task="reranking")
    assert (plain.head.output, plain.spec.vectors.dimensions) == ("embeddings", 16)
    with pytest.raises(InvalidInput) as caught:
        import_folder(folder_of(tmp_path / "two", "BertForSequenceClassification"), tmp_path / "no", task="reranking")
    assert (caught.value.code, caught.value.params["count"]) == ("not_a_reranker", 3)


def dense_folder(path: Path, *, activation: str = "torch.nn.modules.activation.Tanh", size: int = 16, end: str = "Normalize") -> Path:
    from safetensors.torch import save_file

    source = sentence_folder(path, MEAN, ["Transformer", "Pooling", "Dense", *([end] if end else [])])
    (source / "2_Dense").mkdir()
    told = {"in_features": size, "out_features": 6, "bias": True, "activation_function": activation}
    (source / "2_Dense" / "config.json").write_text(json.dumps(told))
    torch.manual_seed(9)
    save_file({"linear.weight": torch.randn(6, size), "linear.bias": torch.randn(6)}, source / "2_Dense" / "model.safetensors")
    return source


@pytest.mark.parametrize("end", ["Normalize", ""])
def test_a_dense_layer_stands_behind_pooling(tmp_path: Path, end: str) -> None:
    from safetensors.torch import load_file

    from hanlin.compression.base import convert as make
    from hanlin.engines import load_variant

    source, out = dense_folder(tmp_path / "source", end=end), tmp_path / "out"
    found = import_folder(source, out, task="embedding")
    assert (found.head.dense, found.spec.vectors.dimensions) == (("tanh",), 6)
    weights = load_file(source / "2_Dense" / "model.safetensors")
    wanted = torch.tanh(weights["linear.weight"] @ hidden_of(source, out, "good a").mean(0) + weights["linear.bias"])
    wanted = torch.nn.functional.normalize(wanted, dim=0) if end else wanted
    torch.testing.assert_close(vectors(out, ["good a", "bad"])[0], wanted, atol=1e-5, rtol=0)
    again = import_folder(out, tmp_path / "again", task="embedding")
    assert (again.head, again.spec) == (found.head, found.spec)
    make(out, "onnxruntime-fp32", calibration=[])
    row = pad(TextEncoder.load(out).encode(["good a"]), 0)
    served = load_variant(out, "onnxruntime-fp32", threads=1).run(*row.values())["embeddings"]
    torch.testing.assert_close(torch.from_numpy(served[0]), wanted, atol=1e-5, rtol=0)


def test_a_dense_layer_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    cases = {
        "unsupported_pooling": dense_folder(tmp_path / "odd", activation="os.system"),
        "weights_do_not_fit": dense_folder(tmp_path / "size", size=12),
        "unsupported_format": dense_folder(tmp_path / "pickle"),
        "missing_file": dense_folder(tmp_path / "empty"),
    }
    (tmp_path / "pickle" / "2_Dense" / "model.safetensors").rename(tmp_path / "pickle" / "2_Dense" / "pytorch_model.bin")
    (tmp_path / "empty" / "2_Dense" / "model.safetensors").unlink()
    for code, source in cases.items():
        with pytest.raises(InvalidInput) as caught:
            import_folder(source, tmp_path / "out", task="embedding")
        assert caught.value.code == code


def test_how_a_cross_encoder_showed_its_scores_is_not_our_affair(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", "BertForSequenceClassification", labels=("LABEL_0",))
    config = json.loads((source / "config.json").read_text())
    shown = {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "5.1.0"}}
    (source / "config.json").write_text(json.dumps(config | shown | {"sbert_ce_default_activation_function": "x"}))
    import_folder(source, tmp_path / "out", task="reranking")
    assert "sentence_transformers" not in json.loads((tmp_path / "out" / "config.json").read_text())


@pytest.mark.parametrize(
    "head", [{"output": "poems"}, {"output": "embeddings"}, {"pooling": "mean"}, {"has_types": 1}, {"dense": ["tanh"]}, {"odd": 1}, 7]
)
def test_a_head_that_is_none_is_refused(tmp_path: Path, head: object) -> None:
    source = folder_of(tmp_path / "source")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"hanlin_head": head}))
    with pytest.raises(InvalidInput) as caught:
        import_folder(source, tmp_path / "out", task="embedding")
    assert caught.value.code == "invalid_network_config"


def test_the_spec_of_vectors_survives_its_file_and_refuses_nonsense(tmp_path: Path) -> None:
    found = import_folder(folder_of(tmp_path / "source"), tmp_path / "out", task="embedding")
    assert ModelSpec.load(tmp_path / "out") == found.spec
    stored = found.spec.to_json()
    for wrong in (
        {"dimensions": 0},
        {"dimensions": True},
        {"dimensions": 4, "prompts": {"": "x"}},
        {"dimensions": 4, "default_prompt": "x"},
        {},
        [],
        {"dimensions": 4, "odd": 1},
    ):
        with pytest.raises(InvalidInput):
            ModelSpec.from_json(stored | {"vectors": wrong})
