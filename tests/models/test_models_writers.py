"""Foreign networks that write: good folders become artifacts that write the same, settings come along, all else is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

from hanlin.engines import WritingSession, load_variant
from hanlin.errors import InvalidInput
from hanlin.generation import GenerationSettings
from hanlin.models.allowed import CAUSAL_TYPES, SEQ2SEQ_TYPES
from hanlin.models.importing import Imported, import_folder
from hanlin.models.writers import settings_of, start_of
from hanlin.networks.config import NetworkConfig
from hanlin.networks.loading import build_generator, save_network
from hanlin.tasks.base import TASKS
from hanlin.tasks.spec import ModelSpec

NUM_WORDS = 40
ROWS = [[7, 8, 9], [5, 6, 7, 8, 9, 10, 11, 4], [12]]
SIZES = {
    "vocab_size": NUM_WORDS, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1, "max_position_embeddings": 48, "hidden_size": 16,
    "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
}  # fmt: skip
OTHER_SIZES = {
    "gpt2": {"n_positions": 48, "n_embd": 16, "n_layer": 2, "n_head": 2},
    "opt": {"ffn_dim": 32, "word_embed_proj_dim": 16},
    "gpt_neox": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}},
    "phi": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}, "num_key_value_heads": 2},
    "gemma": {"head_dim": 8},
    "qwen3": {"head_dim": 8},
    "llama": {"rope_parameters": {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
                                  "high_freq_factor": 4.0, "original_max_position_embeddings": 24}},
    "mistral": {"sliding_window": 6},
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2, "feed_forward_proj": "gated-gelu"},
    "mt5": {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2},
}  # fmt: skip
SEQ2SEQ_SIZES = {
    "vocab_size": NUM_WORDS, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1, "decoder_start_token_id": 2, "d_model": 16,
    "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32, "max_position_embeddings": 48, "forced_eos_token_id": None,
}  # fmt: skip


class Writer:
    """As much of a task as an import asks for."""

    def __init__(self, head: str) -> None:
        self.head = head


@pytest.fixture(autouse=True)
def _tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    TASKS.names()
    for head in ("targets", "continuations"):
        monkeypatch.setitem(TASKS._found, f"test-{head}", Writer(head))  # type: ignore[arg-type]


def head_of(model_type: str) -> str:
    return "targets" if model_type in SEQ2SEQ_TYPES or model_type == "hanlin-seq2seq" else "continuations"


def folder_of(path: Path, model_type: str, **changes: object) -> Path:
    import transformers

    torch.manual_seed(5)
    is_seq2seq = head_of(model_type) == "targets"
    sizes = (SEQ2SEQ_SIZES if is_seq2seq else SIZES) | OTHER_SIZES.get(model_type, {}) | changes
    config = transformers.AutoConfig.for_model(model_type, **sizes)
    kind = transformers.AutoModelForSeq2SeqLM if is_seq2seq else transformers.AutoModelForCausalLM
    model = kind.from_config(config)
    for name, weight in model.named_parameters():
        if weight.dim() > 1 and "norm" not in name:
            nn.init.normal_(weight, std=0.35)
    model.save_pretrained(path)
    write_tokenizer(path)
    return path


def write_tokenizer(path: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 3} | {f"w{n}": n for n in range(4, NUM_WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(path / "tokenizer.json"))


def take(source: Path, out: Path, head: str, **options: object) -> Imported:
    return import_folder(source, out, task=f"test-{head}", **options)  # type: ignore[arg-type]


def change_config(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")

    return change


@pytest.mark.parametrize("model_type", SEQ2SEQ_TYPES + CAUSAL_TYPES)
def test_every_architecture_comes_in_and_writes_the_same(tmp_path: Path, model_type: str) -> None:
    import transformers

    source, out = folder_of(tmp_path / "source", model_type), tmp_path / "out"
    imported = take(source, out, head_of(model_type))
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "hanlin.json", "model.safetensors", "tokenizer.json"]
    assert imported.head.output == "sequences"
    assert ModelSpec.load(out).generation is not None
    session = load_variant(out, "torch-fp32", threads=1)
    assert isinstance(session, WritingSession)
    is_seq2seq = head_of(model_type) == "targets"
    kind = transformers.AutoModelForSeq2SeqLM if is_seq2seq else transformers.AutoModelForCausalLM
    theirs = kind.from_pretrained(source).eval()
    for num_beams in (1, 3):
        found = session.generate(ROWS, [GenerationSettings(max_new_tokens=9, num_beams=num_beams)] * len(ROWS))
        for row, one in zip(ROWS, found, strict=True):
            whole = theirs.generate(torch.tensor([row]), max_new_tokens=9, num_beams=num_beams, do_sample=False, early_stopping=False)
            written = whole[0].tolist()[1 if is_seq2seq else len(row) :]
            assert list(one.ids) == (written[: written.index(1)] if 1 in written else written)


def test_what_a_folder_says_of_writing_comes_along(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", "bart")
    told = {
        "num_beams": 4, "length_penalty": 2.0, "max_length": 30, "min_length": 8, "no_repeat_ngram_size": 3, "early_stopping": True,
        "forced_bos_token_id": 7, "bad_words_ids": [[3], [8, 9]], "transformers_version": "4.0",
    }  # fmt: skip
    file, config = source / "generation_config.json", json.loads((source / "config.json").read_text(encoding="utf-8"))
    file.write_text(json.dumps(told | {"eos_token_id": [1, 5], "_from_model_config": True}), encoding="utf-8")
    expected = GenerationSettings(
        max_new_tokens=29, min_new_tokens=7, num_beams=4, length_penalty=2.0, no_repeat_ngram=3, early_stopping=True, stop_ids=(1, 5),
        banned_ids=(3,), prefix=(7,),
    )  # fmt: skip
    assert take(source, tmp_path / "out", "targets").spec.generation == expected
    file.unlink()  # as older folders are
    change_config(**told, task_specific_params={"summarization": {"num_beams": 9}})(source)
    assert take(source, tmp_path / "older", "targets").spec.generation == replace(expected, stop_ids=(1,))
    kept = json.loads((tmp_path / "older" / "config.json").read_text(encoding="utf-8"))
    assert not (set(told) | {"task_specific_params"}) & kept.keys()
    assert kept["decoder_start_token_id"] == config["decoder_start_token_id"]


def test_draws_and_lengths_of_networks_that_continue() -> None:
    drawn = settings_of(
        {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "eos_token_id": [1, 2], "max_length": 20}, is_seq2seq=False, positions=99
    )
    assert drawn == GenerationSettings(max_new_tokens=99, temperature=0.6, top_k=50, top_p=0.9, stop_ids=(1, 2))
    with pytest.raises(InvalidInput, match="temperature"):
        settings_of({"do_sample": True, "temperature": "hot"}, is_seq2seq=False, positions=99)
    assert [start_of({"pad_token_id": 0, "eos_token_id": 2}, kind) for kind in ("t5", "bart")] == [0, 2]
    with pytest.raises(InvalidInput, match="decoder_start_token_id"):
        start_of({"eos_token_id": [1, 2]}, "bart")


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        (change_config(auto_map={"AutoModelForCausalLM": "x.Y"}), "forbidden_config_key", "auto_map"),
        (change_config(model_type="bert"), "unsupported_architecture", "bert"),
        (change_config(model_type="t5"), "unsupported_architecture", "t5"),
        (change_config(is_encoder_decoder=True), "forbidden_config_key", "is_encoder_decoder"),
        (change_config(rope_parameters={"rope_type": "default", "code": "x"}), "forbidden_config_key", "rope_parameters"),
        (change_config(rope_parameters={"factor": {"x": 1}}), "forbidden_config_key", "rope_parameters"),
        (change_config(layer_types=["full_attention"] * 200), "forbidden_config_key", "layer_types"),
        (change_config(head_dim=10**9), "forbidden_config_key", "head_dim"),
        (change_config(hidden_act="os.system"), "forbidden_config_key", "hidden_act"),
        (change_config(num_hidden_layers=3), "weights_do_not_fit", "layers"),
        (change_config(eos_token_id=[1, 99]), "tokenizer_does_not_fit", "eos_token_id"),
        (change_config(vocab_size=30), "tokenizer_does_not_fit", "30"),
        (lambda folder: (folder / "pytorch_model.bin").write_bytes(b"x"), "unsupported_format", "pytorch_model.bin"),
    ],
)  # fmt: skip
def test_what_is_not_on_the_list_is_refused_by_name(tmp_path: Path, change: Callable[[Path], None], code: str, named: str) -> None:
    source = folder_of(tmp_path / "source", "llama")
    change(source)
    with pytest.raises(InvalidInput) as caught:
        take(source, tmp_path / "out", "continuations")
    assert caught.value.code == code
    assert named in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("model_type", ["hanlin-seq2seq", "hanlin-decoder", "hanlin-lstm-decoder"])
def test_our_own_networks_come_back_byte_for_byte(tmp_path: Path, model_type: str) -> None:
    torch.manual_seed(3)
    source, out, head = tmp_path / "source", tmp_path / "out", head_of(model_type)
    source.mkdir()
    network = build_generator(
        NetworkConfig(
            model_type, NUM_WORDS, embedding_size=16, hidden_size=16, num_decoder_layers=1, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=32, bos_token_id=2, eos_token_id=1,
        )
    )  # fmt: skip
    save_network(network, source)
    write_tokenizer(source)
    ModelSpec(f"test-{head}", (), 30, 0, generation=GenerationSettings(num_beams=2)).save(source)
    imported = take(source, out, head)
    assert imported.spec == ModelSpec.load(source)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {path.name: path.read_bytes() for path in source.iterdir()}
    ModelSpec("test-targets" if head == "continuations" else "test-continuations", (), 30, 0, generation=GenerationSettings()).save(source)
    with pytest.raises(InvalidInput) as caught:
        take(source, tmp_path / "other", "targets" if head == "continuations" else "continuations")
    assert caught.value.code == "unsupported_architecture"
