"""GGUF files: the same network again, the same tokens, the talk of its template; whatever else a file says or holds is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from tests.models import gguf_files
from tests.models.gguf_files import NETWORKS, SYSTEM, network, write
from tokenizers import Tokenizer

from hanlin.errors import InvalidInput
from hanlin.models import gguf_child, gguf_folder
from hanlin.models.child import plain_guard
from hanlin.models.gguf_file import GgufFile
from hanlin.models.importing import import_folder
from hanlin.networks.loading import load_model
from hanlin.tasks.chat import Message, speak
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec

TASK = "text-generation"


@pytest.fixture(scope="module")
def llama() -> torch.nn.Module:
    return network("llama")


@pytest.fixture(scope="module")
def good(llama: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write(tmp_path_factory.mktemp("good") / "small.gguf", llama).read_bytes()


def unpacked(file: Path, out: Path) -> Path:
    """What the children of `gguf_folder.unpack` write, without the children."""
    out.mkdir()
    words, _ = gguf_child.convert(file, {"part": "words"})
    for name, told in json.loads(b"".join(words)).items():
        (out / name).write_text(json.dumps(told, ensure_ascii=False))
    weights, _ = gguf_child.convert(file, {"part": "weights"})
    (out / "model.safetensors").write_bytes(b"".join(weights))
    return out


def loaded(folder: Path, **more: Any) -> torch.nn.Module:
    from transformers import AutoModelForCausalLM

    found: torch.nn.Module = AutoModelForCausalLM.from_pretrained(folder, **({"dtype": torch.float32} | more)).eval()
    return found


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_network_that_is_known_comes_out_as_it_went_in(tmp_path: Path, kind: str) -> None:
    model = network(kind)
    file = write(tmp_path / "small.gguf", model)
    found = loaded(unpacked(file, tmp_path / "out"))
    ours, theirs = found.state_dict(), model.state_dict()
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, atol=1e-6, rtol=0)
    ids = torch.arange(3, 103)[None]
    with torch.inference_mode():
        torch.testing.assert_close(found(ids).logits, model(ids).logits, atol=1e-4, rtol=1e-4)
    if kind in ("qwen2", "llama"):  # transformers reads those itself, by other code
        with torch.inference_mode():
            torch.testing.assert_close(loaded(tmp_path, gguf_file=file.name)(ids).logits, found(ids).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("kind", "near"), [(Kind.F16, 1e-3), (Kind.BF16, 1e-2), (Kind.Q8_0, 0.02), (Kind.Q5_1, 0.08), (Kind.Q4_0, 0.2)])
def test_halves_stay_halves_and_blocks_are_widened(tmp_path: Path, llama: torch.nn.Module, kind: Kind, near: float) -> None:
    from safetensors.torch import load_file

    found = load_file(unpacked(write(tmp_path / "small.gguf", llama, kind=kind), tmp_path / "out") / "model.safetensors")
    wanted = {Kind.F16: torch.float16, Kind.BF16: torch.bfloat16}.get(kind, torch.float32)
    for name, weight in llama.state_dict().items():
        if name in found:
            assert found[name].dtype == (wanted if weight.ndim == 2 else torch.float32)
            torch.testing.assert_close(found[name].float(), weight, atol=near, rtol=0)


@pytest.mark.parametrize("kind", [Kind.Q2_K, Kind.Q3_K, Kind.Q4_K, Kind.Q5_K, Kind.Q6_K, Kind.IQ4_XS])
def test_blocks_that_only_llama_cpp_makes_mean_what_transformers_reads_in_them(tmp_path: Path, kind: Kind) -> None:
    from transformers.integrations.gguf.dequant import dequantize

    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    raw = np.random.default_rng(1).integers(0, 64, (6, 2 * block_bytes), dtype=np.uint8)
    writer = gguf.GGUFWriter(tmp_path / "blocks.gguf", "llama")
    writer.add_tensor("t", raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    theirs = dequantize(torch.from_numpy(raw.reshape(-1, block_bytes)), kind.value).reshape(6, 2 * block)
    np.testing.assert_allclose(GgufFile(tmp_path / "blocks.gguf").whole("t"), theirs.numpy(), rtol=1e-6)


def test_it_comes_in_with_the_talk_of_its_template(tmp_path: Path, llama: torch.nn.Module) -> None:
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "small.Q8_0.gguf", llama, kind=Kind.Q8_0)
    import_folder(tmp_path / "folder", tmp_path / "out", task=TASK)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "out"]
    spec, encoder = ModelSpec.load(tmp_path / "out"), TextEncoder.load(tmp_path / "out")
    assert spec.chat is not None
    assert spec.chat.system == SYSTEM
    assert spec.generation is not None
    assert spec.generation.stop_ids == (2,)
    ids = speak(encoder.tokenizer, spec.chat, [Message("user", "the sea is 12 green")], is_asking=True).ids
    assert encoder.tokenizer.decode(list(ids), skip_special_tokens=False).endswith("green<|im_end|>\n<|im_start|>assistant\n")
    assert encoder.tokenizer.encode("12").tokens == ["1", "2"]
    assert load_model(tmp_path / "out").config.rope_parameters["rope_theta"] == 100000.0


def test_letters_with_scores_become_the_pieces_that_sentencepiece_would_take(tmp_path: Path, llama: torch.nn.Module) -> None:
    """Merges by score, bytes where there is no letter, a first mark."""
    pieces = ["\u2581", "t", "h", "e", "th", "\u2581th", "\u2581the", "s", "a", "sea", "se"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{number:02X}>" for number in range(256)), *pieces]
    tokens += [f"[PAD{number}]" for number in range(gguf_files.VOCABULARY - len(tokens))]
    kinds = [2, 3, 3, *[6] * 256, *[1] * len(pieces)]
    kinds += [5] * (len(tokens) - len(kinds))

    def change(writer: Any) -> None:
        for name in ("model", "pre", "tokens", "token_type", "merges"):
            del writer.kv_data[0][f"tokenizer.ggml.{name}"]
        writer.add_tokenizer_model("llama")
        writer.add_token_list(tokens)
        writer.add_token_types(kinds)
        writer.add_token_scores([0.0] * 259 + [-float(number) for number in range(len(tokens) - 259)])

    folder = unpacked(write(tmp_path / "letters.gguf", llama, change=change), tmp_path / "out")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.encode("the sea é").tokens == ["<s>", "\u2581the", "\u2581", "sea", "\u2581", "<0xC3>", "<0xA9>"]
    assert tokenizer.decode(tokenizer.encode("the sea é").ids) == "the sea é"


def changed(name: str, value: object) -> Callable[[Any], None]:
    """Says another value, or none."""

    def change(writer: Any) -> None:
        told = writer.kv_data[0]
        if value is None:
            del told[name]
        elif name in told:
            told[name].value = value
        else:
            writer.add_key_value(name, value, gguf.GGUFValueType.get_type(value))

    return change


def one_more(writer: Any) -> None:
    writer.add_tensor("blk.0.attn_sinks.weight", np.zeros(4, np.float32))


def stretched(writer: Any) -> None:
    changed("llama.rope.scaling.type", "longrope")(writer)
    changed("llama.rope.scaling.factor", 4.0)(writer)


def strange_freqs(writer: Any) -> None:
    writer.add_tensor("rope_freqs.weight", np.full(8, 2.5, np.float32))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed("general.architecture", "falcon"), "falcon"), (changed("tokenizer.ggml.pre", "chatglm-bpe"), "chatglm-bpe"),
        (changed("llama.block_count", None), "llama.block_count"), (changed("llama.block_count", 3), "blk.2.attn_k.weight"),
        (changed("llama.block_count", 1), "blk.1.attn_k.weight"), (changed("llama.expert_count", 4), "llama.expert_count"),
        (changed("llama.attention.key_length", 8), "several sizes"), (changed("llama.attention.head_count", 5), "heads"),
        (changed("llama.attention.layer_norm_rms_epsilon", float("nan")), "nan"), (changed("llama.block_count", 2**31), "block_count"),
        (changed("tokenizer.ggml.bos_token_id", 288), "bos_token_id"), (changed("tokenizer.ggml.token_type", [1]), "token_type"),
        (changed("tokenizer.ggml.merges", ["a b c"]), "pairs"), (changed("tokenizer.ggml.tokens", ["a", "a"]), "2 tokens"),
        (changed("tokenizer.ggml.model", "bert"), "bert"), (one_more, "attn_sinks"), (stretched, "longrope"), (strange_freqs, "rope_freqs"),
        (changed("tokenizer.ggml.merges", ["the zzz"]), None), (changed("llama.block_count", 20_001), "block_count"),
    ],
)  # fmt: skip
def test_what_it_says_and_we_do_not_know_is_refused(
    tmp_path: Path, llama: torch.nn.Module, change: Callable[[Any], None], said: str | None
) -> None:
    with pytest.raises(InvalidInput) as caught:
        unpacked(write(tmp_path / "small.gguf", llama, change=change), tmp_path / "out")
    assert caught.value.code in ("gguf_refused", "unsupported_architecture", "invalid_tokenizer")
    assert said is None or said in str(caught.value)


def test_what_is_no_folder_of_one_network_that_continues_texts_is_refused(tmp_path: Path, good: bytes) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.gguf").write_bytes(good)
    with pytest.raises(InvalidInput) as caught:
        import_folder(folder, tmp_path / "out", task="text-classification")
    assert caught.value.code == "gguf_not_for_task"
    (folder / "b.gguf").write_bytes(good)
    with pytest.raises(InvalidInput) as caught:
        import_folder(folder, tmp_path / "out", task=TASK)
    assert caught.value.code == "several_models"
    (folder / "b.gguf").rename(folder / "evil.pkl")
    with pytest.raises(InvalidInput) as caught:
        import_folder(folder, tmp_path / "out", task=TASK)
    assert caught.value.code == "unsupported_format"
    (folder / "evil.pkl").unlink()
    (folder / "a.gguf").write_bytes(good[:5000])
    with pytest.raises(InvalidInput) as caught:  # the child's own word
        gguf_folder.unpack(folder / "a.gguf", tmp_path / "aside", task=TASK, guard=plain_guard)
    assert caught.value.code == "gguf_refused"
    assert "a.gguf" in str(caught.value)
    silent = ("-c", "import sys; print('{}'); print('{}', file=sys.stderr)")
    with pytest.raises(InvalidInput) as caught:  # of what a child writes, nothing is believed
        gguf_folder.unpack(folder / "a.gguf", tmp_path / "silent", task=TASK, guard=lambda folder, memory: silent)
    assert caught.value.code == "foreign_file_broke"
