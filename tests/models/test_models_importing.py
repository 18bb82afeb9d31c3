"""Foreign model folders: good ones become artifacts with the same answers, bad ones are refused by name, nothing in them runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from hanlin.errors import HanlinError, InvalidInput
from hanlin.models.heads import NO_LABELS
from hanlin.models.importing import import_folder
from hanlin.models.pretrained import build_from_base
from hanlin.models.slow_tokenizers import convert
from hanlin.models.tokenizer_probe import probe
from hanlin.networks.loading import load_model
from hanlin.networks.rates import rate_scales
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.training.batches import collate

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *"abcdefgh",
    *(f"##{letter}" for letter in "abcdefgh"),
    "好",
    "坏",
    "good",
    "bad",
    "!",
]
SMALL = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "id2label": {0: "bad", 1: "good"},
    "label2id": {"bad": 0, "good": 1},
}


def folder_of(path: Path, model_type: str = "bert", *, with_head: bool = True, slow: bool = False) -> Path:
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    torch.manual_seed(5)
    sizes = dict(SMALL)
    if model_type == "distilbert":
        sizes |= {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
    if model_type in ("albert", "electra"):
        sizes |= {"embedding_size": 16}
    config = AutoConfig.for_model(model_type, **sizes)
    model = (AutoModelForSequenceClassification if with_head else AutoModel).from_config(config).eval()
    model.save_pretrained(path)
    (path / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    (path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "model_max_length": 32}), encoding="utf-8")
    if not slow:
        (path / "tokenizer.json").write_text(convert(path).to_str(), encoding="utf-8")
    return path


def take(source: Path, tmp_path: Path, **options: object) -> Path:
    out = tmp_path / "out"
    import_folder(source, out, task="text-classification", **options)  # type: ignore[arg-type]
    return out


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "xlm-roberta"])
def test_a_foreign_folder_comes_in_with_the_same_answers(tmp_path: Path, model_type: str) -> None:
    from transformers import AutoModelForSequenceClassification

    source = folder_of(tmp_path / "source", model_type)
    out = take(source, tmp_path)
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "hanlin.json", "model.safetensors", "tokenizer.json"]
    assert "_name_or_path" not in json.loads((out / "config.json").read_text(encoding="utf-8"))
    spec = ModelSpec.load(out)
    assert (spec.labels, spec.max_length) == (("bad", "good"), 32)
    rows = TextEncoder.load(out).encode(["a good 好!", "bad", "坏 坏 坏 h"])
    ids, mask = collate(rows, spec.pad_id)
    theirs = AutoModelForSequenceClassification.from_pretrained(source, attn_implementation="eager").eval()
    with torch.inference_mode():
        found = load_model(out)(ids, mask)
        torch.testing.assert_close(found, theirs(input_ids=ids, attention_mask=mask).logits, atol=1e-5, rtol=0)
        alone = torch.cat([load_model(out)(*collate([row], 0)) for row in rows])
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)


def test_an_encoder_without_head_is_a_base_and_takes_new_labels(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", with_head=False)
    imported = import_folder(source, tmp_path / "out", task="text-classification")
    assert imported.is_base
    assert imported.spec.labels == NO_LABELS
    module = build_from_base(tmp_path / "out", ("x", "y", "z"), dropout=0.2)
    assert module.model.config.id2label == {0: "x", 1: "y", 2: "z"}
    assert module.model.config.hidden_dropout_prob == 0.2
    kept = load_file(source / "model.safetensors")["embeddings.word_embeddings.weight"]
    assert torch.equal(module.model.bert.embeddings.word_embeddings.weight, kept)
    scales = rate_scales(module, layer_decay=0.5, head_rate=10.0)
    assert scales["model.classifier.weight"] == 10.0
    assert scales["model.bert.encoder.layer.0.output.dense.weight"] == 0.5
    assert scales["model.bert.embeddings.word_embeddings.weight"] == 0.25


def test_a_word_list_becomes_the_tokenizer_of_transformers(tmp_path: Path) -> None:
    from transformers import BertTokenizerFast

    source = folder_of(tmp_path / "source", slow=True)
    take(source, tmp_path)
    theirs = BertTokenizerFast(vocab={word: number for number, word in enumerate(WORDS)}, do_lower_case=True)
    ours = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    for text in ("Good, BÁD 好坏!", "abc  abd\tzzz", "", "[MASK] a"):
        assert ours.encode(text).ids == theirs(text)["input_ids"]


def change_config(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")

    return change


def put(name: str, content: bytes = b"x") -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def link(folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    (folder / "vocab.txt").symlink_to("/etc/passwd")


def larger_vocabulary(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens(["zebra"])
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")


def not_a_number(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


BAD = {
    "C096 code of its own": (change_config(auto_map={"AutoModel": "evil.Model"}), "forbidden_config_key", "auto_map"),
    "C096 trust": (change_config(trust_remote_code=True), "forbidden_config_key", "trust_remote_code"),
    "C096 kernels": (change_config(kernels=["evil/kernel"]), "forbidden_config_key", "kernels"),
    "C096 attention": (change_config(_attn_implementation_internal="evil/attn"), "forbidden_config_key", "_attn"),
    "C096 unknown": (change_config(surprise=1), "forbidden_config_key", "surprise"),
    "C096 address": (change_config(_name_or_path="https://evil"), "forbidden_config_key", "_name_or_path"),
    "C096 nested": (change_config(hidden_act={"code": "x"}), "forbidden_config_key", "hidden_act"),
    "C096 activation": (change_config(hidden_act="quick_evil"), "forbidden_config_key", "hidden_act"),
    "C096 huge": (change_config(hidden_size=10**9), "forbidden_config_key", "hidden_size"),
    "C096 type": (change_config(model_type="llama"), "unsupported_architecture", "llama"),
    "C095 vocabulary": (larger_vocabulary, "tokenizer_does_not_fit", "embedding rows"),
    "C095 special": (change_config(pad_token_id=9999), "tokenizer_does_not_fit", "pad_token_id"),
    "C095 length": (put("tokenizer_config.json", b'{"model_max_length": 41}'), "tokenizer_does_not_fit", "41"),
    "C097 bin": (put("pytorch_model.bin"), "unsupported_format", "pytorch_model.bin"),
    "C097 pt": (put("optimizer.pt"), "unsupported_format", "optimizer.pt"),
    "C097 pkl": (put("x.PKL"), "unsupported_format", "PKL"),
    "C097 npy": (put("x.npy"), "unsupported_format", "x.npy"),
    "C097 keras": (put("m.keras"), "unsupported_format", "m.keras"),
    "C097 nemo": (put("m.nemo"), "unsupported_format", "m.nemo"),
    "C101 gguf beside weights": (put("m.gguf", b"GGUF\x03\0\0\0" + b"\xff" * 16), "unsupported_format", "m.gguf"),
    "C086 code": (put("modeling_evil.py"), "unexpected_file", "modeling_evil.py"),
    "C086 pickle in disguise": (put("model.safetensors", b"\x80\x04\x95" + b"\0" * 99), "invalid_model_file", "model.safetensors"),
    "C102 tokenizer": (
        put("tokenizer.json", b'{"version":"1.0","model":{"type":"BPE","vocab":{"a":0},"merges":["a b c d"]}}'),
        "invalid_tokenizer",
        "",
    ),
    "C102 no tokenizer": (put("tokenizer.json", b"\xff"), "invalid_tokenizer", ""),
    "C104 gap": (change_config(id2label={"0": "a", "2": "b"}, label2id=None), "invalid_labels", ""),
    "C104 twice": (change_config(id2label={"0": "a", "1": "a"}, label2id=None), "invalid_labels", ""),
    "C104 count": (change_config(id2label={"0": "a", "1": "b", "2": "c"}, label2id=None), "invalid_labels", ""),
    "C104 long": (change_config(id2label={"0": "a" * 2**20, "1": "b"}, label2id=None), "invalid_label", ""),
    "missing": (remove("model.safetensors"), "missing_file", "model.safetensors"),
    "link": (link, "unexpected_file", "vocab.txt"),
    "weights of another shape": (change_config(intermediate_size=48), "weights_do_not_fit", ""),
    "weights that are no number": (not_a_number, "weights_do_not_fit", "finite"),
    "no JSON": (put("config.json", b"[" * 100_000), "not_strict_json", "config.json"),
    "NaN where nobody looks": (change_config(initializer_range=float("nan")), "not_strict_json", "NaN"),
    "half a surrogate pair": (change_config(finetuning_task="\ud800"), "not_strict_json", "ud800"),
    "a network far beyond its weights": (change_config(hidden_size=16_384, intermediate_size=16_384), "weights_do_not_fit", "≫"),
    "no heads to divide by": (change_config(num_attention_heads=0), "weights_do_not_fit", ""),
    "a word for a number": (change_config(layer_norm_eps="x"), "weights_do_not_fit", ""),
    "steps that divide no row": (change_config(chunk_size_feed_forward=7), "weights_do_not_fit", ""),
    "infinite": (change_config(finetuning_task=float("-inf")), "not_strict_json", "-Infinity"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_folder_is_refused_by_name_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    spoil, code, words = BAD[name]
    source = folder_of(tmp_path / "source")
    spoil(source)
    with pytest.raises(InvalidInput) as caught:
        take(source, tmp_path)
    assert caught.value.code == code, str(caught.value)
    assert words in caught.value.message
    assert caught.value.text("zh") != caught.value.message
    assert len(json.dumps(caught.value.to_wire())) < 4096
    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_c097_no_pickle_is_opened_and_no_process_leaves_the_interpreter(tmp_path: Path) -> None:
    seen: list[str] = []
    watching = [True]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching[0] and event in ("pickle.find_class", "os.system", "socket.connect", "exec_by_path"):
            seen.append(event)

    sys.addaudithook(hook)
    try:
        take(folder_of(tmp_path / "source"), tmp_path)
        load_model(tmp_path / "out")
    finally:
        watching[0] = False
    assert seen == []


def test_c102_a_tokenizer_that_kills_or_stalls_the_child_leaves_the_parent_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(
        json.dumps(
            {
                "version": "1.0",
                "model": {
                    "type": "WordPiece",
                    "unk_token": "[X]",
                    "continuing_subword_prefix": "##",
                    "max_input_chars_per_word": 100,
                    "vocab": {"a": 0},
                },
            }
        ),
        encoding="utf-8",
    )
    with pytest.raises(HanlinError):  # the unknown token is not in the vocabulary
        probe(path)
    monkeypatch.setattr("hanlin.models.tokenizer_probe.TIMEOUT_S", 0.01)
    with pytest.raises(InvalidInput):
        probe(path)
    assert os.getpid() > 0
