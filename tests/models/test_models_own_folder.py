"""What we exported comes in again with the same files and answers, and a changed one is refused like any stranger's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hanlin.errors import InvalidInput
from hanlin.models.importing import import_folder
from hanlin.models.tokenizers import save_tokenizer, train_tokenizer
from hanlin.networks.config import MODEL_TYPES, NetworkConfig
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import build, load_model, save_network
from hanlin.networks.wide import WIDE_FILE, WideRoad
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text import TextSettings
from hanlin.training.batches import collate

TEXTS = ["a good film", "A BAD ＦＩＬＭ <b>again</b>", "好 的 电影", "坏 电影 and a long day of it"]
NUM_TOKENS = 24


def exported(folder: Path, model_type: str = "hanlin-lstm") -> Path:
    """The folder that `hanlin model export` writes: the artifact, its pictures, files of variants."""
    folder.mkdir()
    torch.manual_seed(3)
    save_tokenizer(train_tokenizer([text.lower() for text in TEXTS] * 3, "word", NUM_TOKENS, min_count=1), folder)
    sizes = {"embedding_size": 8, "hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 2, "max_position_embeddings": 64}
    config = NetworkConfig(model_type, NUM_TOKENS, ("bad", "good"), ngram_buckets=32, ngram_sizes=(2, 3), **sizes)
    save_network(build(config).eval(), folder)
    text = TextSettings(("html", "width", "lower"), "none")
    ModelSpec("text-classification", ("bad", "good"), 48, 0, text=text, languages=("en", "zh")).save(folder)
    for path in ("pictures/confusion.svg", "pictures/pareto.zh.svg", "variants/onnx-int8/model.onnx"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"<svg/>")
    return folder


def take(source: Path, out: Path, **options: object) -> Path:
    found = import_folder(source, out, task="text-classification", **options)  # type: ignore[arg-type]
    assert not found.is_base
    return out


def answers(folder: Path) -> torch.Tensor:
    encoder = TextEncoder.load(folder)
    with torch.inference_mode():
        return load_model(folder)(*collate(encoder.encode(TEXTS), encoder.pad_id))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_an_export_comes_in_again_byte_for_byte_without_its_variants(tmp_path: Path, model_type: str) -> None:
    source = exported(tmp_path / "export", model_type)
    out = take(source, tmp_path / "out")
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "hanlin.json", "model.safetensors", "tokenizer.json"]
    for path in out.iterdir():
        assert path.read_bytes() == (source / path.name).read_bytes(), path.name
    assert torch.equal(answers(out), answers(source))


def fine_tuned(folder: Path, *, is_wide: bool = False) -> Path:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    source = exported(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 64}
    names = {"id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}}
    config = AutoConfig.for_model("bert", vocab_size=NUM_TOKENS, pad_token_id=0, **sizes, **names)
    module = PretrainedClassifier(AutoModelForSequenceClassification.from_config(config).eval())
    if is_wide:
        road = WideRoad(vocab_size=NUM_TOKENS, num_labels=2, sizes=(1, 2), buckets=64)
        for parameter in road.parameters():
            torch.nn.init.normal_(parameter)
        module.widen(road, deep=0.8)
    save_network(module, source)
    return source


@pytest.mark.parametrize("is_wide", [False, True])
def test_a_fine_tuned_export_keeps_its_text_settings_and_answers(tmp_path: Path, is_wide: bool) -> None:
    source = fine_tuned(tmp_path / "export", is_wide=is_wide)
    out = take(source, tmp_path / "out")
    assert ModelSpec.load(out) == ModelSpec.load(source)
    assert torch.equal(answers(out), answers(source))
    assert (out / WIDE_FILE).is_file() == is_wide
    renamed = take(source, tmp_path / "renamed", labels=("差", "好"))
    assert torch.equal(answers(renamed), answers(source))


def test_labels_can_be_given_new_names(tmp_path: Path) -> None:
    out = take(exported(tmp_path / "export"), tmp_path / "out", labels=("差", "好"))
    assert ModelSpec.load(out).labels == NetworkConfig.load(out).labels == ("差", "好")


def change(name: str, **changes: object) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")

    return work


def put(name: str, content: bytes) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return work


def tensor(name: str, value: torch.Tensor) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        path = folder / "model.safetensors"
        save_file(load_file(path) | {name: value}, path)

    return work


BAD = {
    "unknown key": (change("config.json", auto_map={"AutoModel": "evil.Model"}), "forbidden_config_key", "auto_map"),
    "text for a number": (change("config.json", hidden_size="8"), "forbidden_config_key", "hidden_size"),
    "true for a number": (change("config.json", num_hidden_layers=True), "forbidden_config_key", "num_hidden_layers"),
    "fraction": (change("config.json", hidden_size=8.0), "forbidden_config_key", "hidden_size"),
    "null": (change("config.json", dropout=None), "forbidden_config_key", "dropout"),
    "more memory than there is": (change("config.json", hidden_size=4_000_000), "forbidden_config_key", "hidden_size"),
    "layers without end": (change("config.json", num_hidden_layers=4_000_000), "forbidden_config_key", "num_hidden_layers"),
    "large table, small file": (change("config.json", ngram_buckets=2**22), "weights_do_not_fit", "ngram"),
    "another size": (change("config.json", hidden_size=16), "weights_do_not_fit", ""),
    "a tensor too many": (tensor("spare", torch.zeros(3)), "weights_do_not_fit", "spare"),
    "whole numbers": (tensor("embedding.weight", torch.zeros(2, dtype=torch.int64)), "weights_do_not_fit", "embedding"),
    "hanlin.json is missing": (lambda folder: (folder / "hanlin.json").unlink(), "missing_file", "hanlin.json"),
    "hanlin.json has more": (change("hanlin.json", code="x"), "invalid_model_spec", "code"),
    "hanlin.json twice": (put("hanlin.json", b'{"format": 1, "format": 1}'), "not_strict_json", "format"),
    "another task": (change("hanlin.json", task="translation"), "exported_for_another_task", "translation"),
    "another padding": (change("hanlin.json", pad_id=1), "invalid_model_spec", "pad_id"),
    "labels": (change("hanlin.json", labels=["a", "b", "c"]), "invalid_model_spec", "labels"),
    "other labels": (change("hanlin.json", labels=["good", "bad"]), "invalid_model_spec", "labels"),
    "longer than its positions": (change("hanlin.json", max_length=65), "tokenizer_does_not_fit", "65"),
    "a step of cleaning that is none": (change("hanlin.json", text={"cleaning": ["exec"]}), "invalid_text_settings", "exec"),
    "code beside": (put("modeling.py", b"x"), "unexpected_file", "modeling.py"),
    "pickle beside": (put("pytorch_model.bin", b"x"), "unsupported_format", "pytorch_model.bin"),
    "broken weights": (put("model.safetensors", b"\x80\x04\x95" + b"\0" * 99), "invalid_model_file", "model.safetensors"),
    "a road beside one of ours": (put("wide.safetensors", b"x"), "unexpected_file", "wide.safetensors"),
    "broken tokenizer": (put("tokenizer.json", b"{}"), "invalid_tokenizer", ""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_changed_export_is_refused_by_name_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    spoil, code, words = BAD[name]
    source = exported(tmp_path / "export", "hanlin-transformer")
    spoil(source)
    with pytest.raises(InvalidInput) as caught:
        take(source, tmp_path / "out")
    assert caught.value.code == code, str(caught.value)
    assert words in caught.value.message
    assert not (tmp_path / "out").exists()


def road(**tensors: torch.Tensor) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        save_file(load_file(folder / WIDE_FILE) | tensors, folder / WIDE_FILE)

    return work


def without_shape(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({key: value for key, value in config.items() if not key.startswith("wide_")}), encoding="utf-8")


def without_head(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file({name: value for name, value in load_file(path).items() if not name.startswith("classifier")}, path)


BAD_ROADS = {
    "the file is missing": (lambda folder: (folder / WIDE_FILE).unlink(), "missing_file", WIDE_FILE),
    "config.json says nothing of it": (without_shape, "unexpected_file", WIDE_FILE),
    "beside a base": (without_head, "unexpected_file", WIDE_FILE),
    "other buckets": (change("config.json", wide_buckets=2**22), "weights_do_not_fit", "tables.1"),
    "another run": (change("config.json", wide_sizes=[1, 2, 3]), "weights_do_not_fit", "tables.2"),
    "a run that is none": (change("config.json", wide_sizes=[0]), "invalid_network_config", "wide_sizes"),
    "a tensor too many": (road(spare=torch.zeros(2)), "weights_do_not_fit", "spare"),
    "whole numbers": (road(bias=torch.zeros(2, dtype=torch.int64)), "weights_do_not_fit", "bias"),
    "no number": (road(bias=torch.tensor([0.0, float("nan")])), "weights_do_not_fit", "finite"),
    "broken": (put(WIDE_FILE, b"\x80\x04\x95" + b"\0" * 99), "invalid_model_file", WIDE_FILE),
}


@pytest.mark.parametrize("name", BAD_ROADS)
def test_a_changed_road_is_refused_by_name_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    spoil, code, words = BAD_ROADS[name]
    source = fine_tuned(tmp_path / "export", is_wide=True)
    spoil(source)
    with pytest.raises(InvalidInput) as caught:
        take(source, tmp_path / "out")
    assert caught.value.code == code, str(caught.value)
    assert words in caught.value.message
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_of_a_larger_vocabulary_is_refused(tmp_path: Path) -> None:
    source = exported(tmp_path / "export")
    save_tokenizer(train_tokenizer([chr(0x4E00 + number) for number in range(60)], "word", 60, min_count=1), source)
    with pytest.raises(InvalidInput) as caught:
        take(source, tmp_path / "out")
    assert caught.value.code == "tokenizer_does_not_fit"


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("key", ["finetuning_task", "dropout"])
def test_numbers_that_json_has_not_are_refused_in_any_key(tmp_path: Path, word: str, key: str) -> None:
    source = exported(tmp_path / "export")
    path = source / "config.json"
    values = json.loads(path.read_text(encoding="utf-8")) | {key: "@"}
    path.write_text(json.dumps(values).replace('"@"', word), encoding="utf-8")
    with pytest.raises(InvalidInput) as caught:
        take(source, tmp_path / "out")
    assert caught.value.code == "not_strict_json"
    assert word in caught.value.text("zh")


def test_every_setting_of_a_network_can_come_in(tmp_path: Path) -> None:
    source = exported(tmp_path / "export")
    out = take(source, tmp_path / "out")
    assert asdict(NetworkConfig.load(out)) == asdict(NetworkConfig.load(source))
    shutil.rmtree(out)
    assert take(source, out) == out
