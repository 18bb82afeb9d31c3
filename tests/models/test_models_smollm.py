"""SmolLM2 as llama.cpp keeps it, in small: the same network again, the same tokens, the talk that its template writes; no other file."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hanlin.errors import InvalidInput
from hanlin.models.gguf_file import GgufFile
from hanlin.models.importing import import_folder
from hanlin.models.smollm import convert_smollm
from hanlin.models.tokenizers import train_tokenizer
from hanlin.networks.loading import load_model
from hanlin.tasks.chat import Message, speak
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec

SYSTEM = "You are a helpful AI assistant"
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    + SYSTEM
    + "<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEXTS = ["the sky is blue and the sea is green", "one and two and three are six"] * 4
HIDDEN, HEADS, PAIRS = 64, 4, 2


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(name: str, value: object) -> bytes:
    if isinstance(value, str):
        return text(name) + struct.pack("<I", 8) + text(value)
    if isinstance(value, list) and isinstance(value[0], str):
        return text(name) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    if isinstance(value, list):
        return text(name) + struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
    return text(name) + (struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value))


def packed(weight: Tensor, kind: int) -> bytes:
    """As ggml writes them: fp32, blocks of 4 bits with a least value, or of 8."""
    rows = weight.numpy().reshape(-1, 32) if kind else weight.numpy()
    if kind == 3:
        least = rows.min(1).astype("<f2")
        scale = ((rows.max(1) - least) / 15).astype("<f2")
        halves = np.clip(np.round((rows - least[:, None]) / scale[:, None].astype(np.float32)), 0, 15).astype(np.uint8)
        nibbles = halves[:, :16] | halves[:, 16:] << 4
        return b"".join(s.tobytes() + m.tobytes() + n.tobytes() for s, m, n in zip(scale, least, nibbles, strict=True))
    if kind == 8:
        scale = np.maximum(np.abs(rows).max(1) / 127, 1e-4).astype("<f2")  # the row of padding is zeros
        values = np.round(rows / scale[:, None].astype(np.float32)).astype(np.int8)
        return b"".join(s.tobytes() + v.tobytes() for s, v in zip(scale, values, strict=True))
    return rows.astype("<f4").tobytes()


def wound(weight: Tensor, heads: int) -> Tensor:
    """llama.cpp's order of a head's rows: neighbours are turned together. Source: its convert_hf_to_gguf.py, `permute`."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


@pytest.fixture(scope="module")
def llama() -> torch.nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=288, hidden_size=HIDDEN, intermediate_size=96, num_hidden_layers=2, num_attention_heads=HEADS, num_key_value_heads=PAIRS,
        max_position_embeddings=128, rope_theta=100000.0, rms_norm_eps=1e-5, tie_word_embeddings=True, initializer_range=0.3,
        pad_token_id=2, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def write(
    path: Path, llama: torch.nn.Module, *, matrix: int = 0, table: int = 0, change: Callable[[dict[str, object]], None] | None = None
) -> Path:
    base = train_tokenizer(TEXTS, "byte-bpe", 284)
    known = sorted((number, token) for token, number in base.get_vocab(with_added_tokens=False).items() if not token.startswith("["))
    tokens = [*MARKS, *(token for _, token in known)][:288]
    merges = [token for token in tokens[3:] if len(token) > 1]
    pairs = [f"{token[:cut]} {token[cut:]}" for token in merges for cut in range(1, len(token)) if {token[:cut], token[cut:]} <= {*tokens}]
    tokens += [f"<unused{number}>" for number in range(288 - len(tokens))]
    values: dict[str, object] = {
        "general.architecture": "llama", "llama.block_count": 2, "llama.context_length": 128, "llama.embedding_length": HIDDEN,
        "llama.feed_forward_length": 96, "llama.attention.head_count": HEADS, "llama.attention.head_count_kv": PAIRS,
        "llama.rope.freq_base": 100000.0, "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.vocab_size": 288,
        "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": [3] * 3 + [1] * 285,
        "tokenizer.ggml.merges": pairs, "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.padding_token_id": 2, "tokenizer.chat_template": TEMPLATE,
    }  # fmt: skip
    if change:
        change(values)
    state = llama.state_dict()
    tensors = {"token_embd": (state["model.embed_tokens.weight"], table), "output_norm": (state["model.norm.weight"], 0)}
    parts = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
             "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm",
             "ffn_norm": "post_attention_layernorm"}  # fmt: skip
    for layer in range(2):
        for short, long in parts.items():
            weight = state[f"model.layers.{layer}.{long}.weight"]
            weight = wound(weight, HEADS if short == "attn_q" else PAIRS) if short in ("attn_q", "attn_k") else weight
            tensors[f"blk.{layer}.{short}"] = (weight, 0 if "norm" in short else matrix)
    head, body = b"", b""
    for name, (weight, kind) in tensors.items():
        sizes = tuple(reversed(weight.shape))
        head += text(f"{name}.weight") + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, len(body))
        body += packed(weight.contiguous(), kind)
        body += b"\0" * (-len(body) % 32)
    begin = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(values)) + b"".join(entry(*one) for one in values.items()) + head
    path.write_bytes(begin + b"\0" * (-len(begin) % 32) + body)
    return path


@pytest.mark.parametrize(("matrix", "table", "near"), [(0, 0, 1e-6), (8, 8, 0.01), (3, 8, 0.1)])
def test_the_converted_folder_is_the_network_again(tmp_path: Path, llama: torch.nn.Module, matrix: int, table: int, near: float) -> None:
    """Up to half a step of what its blocks were rounded to."""
    convert_smollm(write(tmp_path / "small.gguf", llama, matrix=matrix, table=table), tmp_path / "out")
    found = load_folder(tmp_path / "out")
    ours, theirs = found.state_dict(), llama.state_dict()
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, atol=near, rtol=0)
    ids = torch.tensor([[1, 40, 50, 60, 70, 80]])
    with torch.no_grad():
        is_equal = torch.allclose(llama(ids).logits, found(ids).logits, atol=1e-5)
    assert is_equal == (matrix == 0)


def load_folder(folder: Path) -> torch.nn.Module:
    from transformers import AutoModelForCausalLM

    found: torch.nn.Module = AutoModelForCausalLM.from_pretrained(folder).eval()
    return found


def test_it_comes_in_with_the_talk_of_its_template(tmp_path: Path, llama: torch.nn.Module) -> None:
    from transformers import AutoTokenizer

    convert_smollm(write(tmp_path / "small.gguf", llama), tmp_path / "folder")
    import_folder(tmp_path / "folder", tmp_path / "out", task="text-generation")
    spec, encoder = ModelSpec.load(tmp_path / "out"), TextEncoder.load(tmp_path / "out")
    assert spec.chat is not None
    assert spec.chat.system == SYSTEM
    assert spec.generation is not None
    assert spec.generation.stop_ids == (2,)
    messages = [{"role": "user", "content": "the sea is 12 green"}]
    theirs = AutoTokenizer.from_pretrained(tmp_path / "folder").apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert speak(encoder.tokenizer, spec.chat, [Message("user", "the sea is 12 green")], is_asking=True).ids == theirs
    assert encoder.tokenizer.encode("12").tokens == ["1", "2"]
    assert encoder.tokenizer.decode(theirs, skip_special_tokens=False).endswith("green<|im_end|>\n<|im_start|>assistant\n")
    assert load_model(tmp_path / "out").config.rope_parameters["rope_theta"] == 100000.0


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.update({"general.architecture": "phi"}), lambda values: values.update({"tokenizer.ggml.pre": "qwen2"}),
        lambda values: values.pop("llama.block_count"), lambda values: values.update({"llama.block_count": 3}),
    ],
)  # fmt: skip
def test_another_file_is_refused(tmp_path: Path, llama: torch.nn.Module, change: Callable[[dict[str, object]], None]) -> None:
    with pytest.raises(InvalidInput) as caught:
        convert_smollm(write(tmp_path / "small.gguf", llama, change=change), tmp_path / "out")
    assert caught.value.code == "invalid_model_file"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cut", [0, 3, 20, 300, 5000, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, llama: torch.nn.Module, cut: int) -> None:
    file = write(tmp_path / "small.gguf", llama)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(InvalidInput) as caught:
        convert_smollm(file, tmp_path / "out")
    assert caught.value.code == "invalid_model_file"


def test_lengths_that_no_file_has_are_refused(tmp_path: Path) -> None:
    (tmp_path / "huge.gguf").write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 2**60, 0))
    with pytest.raises(InvalidInput):
        GgufFile(tmp_path / "huge.gguf")
    (tmp_path / "huge.gguf").write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 4, 2**50))
    with pytest.raises(InvalidInput):
        GgufFile(tmp_path / "huge.gguf")


@pytest.mark.parametrize("sizes", [(), (0,), (0, 2**63), (1,) * 5, (2**32, 2**32), (2**63,)])
@pytest.mark.parametrize("kind", [0, 3, 8])
def test_sizes_that_no_tensor_has_are_refused(tmp_path: Path, sizes: tuple[int, ...], kind: int) -> None:
    told = text("t") + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, 0)
    (tmp_path / "odd.gguf").write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 1, 0) + told + bytes(100))
    with pytest.raises(InvalidInput):
        GgufFile(tmp_path / "odd.gguf").tensor("t")
