"""GGUF files of tiny networks, written by the package `gguf` from transformers' weights as llama.cpp's conversion writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch

from hanlin.models.tokenizers import train_tokenizer

TEXTS = ["the sky is blue and the sea is green", "one and two and three are six"] * 4
MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VOCABULARY, HIDDEN, HEADS, PAIRS, LAYERS, INNER, POSITIONS = 288, 64, 4, 2, 2, 96, 128
SYSTEM = "You are a helpful AI assistant"
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    + SYSTEM
    + "<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_SIZES: dict[str, object] = {
    "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "num_key_value_heads": PAIRS, "max_position_embeddings": POSITIONS, "initializer_range": 0.3, "pad_token_id": 2, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
_LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
NETWORKS: dict[str, dict[str, object]] = {
    "llama": {"tie_word_embeddings": True, "rope_theta": 100000.0},
    "llama3": {"tie_word_embeddings": False, "rope_scaling": _LLAMA3, "rope_theta": 500000.0},
    "qwen2": {}, "qwen3": {"head_dim": 32, "tie_word_embeddings": True}, "gemma": {"head_dim": 32}, "olmo2": {}, "phi3": {},
    "smollm3": {"num_hidden_layers": 4}, "gpt2": {},
}  # fmt: skip


def network(kind: str) -> torch.nn.Module:
    """A random network of a kind."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(3)
    sizes = _SIZES | NETWORKS[kind]
    if kind == "gpt2":
        sizes = {
            "vocab_size": VOCABULARY,
            "n_embd": HIDDEN,
            "n_layer": LAYERS,
            "n_head": HEADS,
            "n_positions": POSITIONS,
            "eos_token_id": 2,
        }
    model: torch.nn.Module = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama" if kind == "llama3" else kind, **sizes)).eval()
    for name, weight in model.named_parameters():  # norms and biases that begin as ones and zeros would hide a mistake
        if weight.ndim == 1:
            torch.nn.init.normal_(weight, 1.0 if "norm" in name or "ln_" in name else 0.0, 0.1)
    return model


def words() -> dict[str, Any]:
    """Tokens, kinds and pairs of a small tokenizer of bytes."""
    base = train_tokenizer(TEXTS, "byte-bpe", 284)
    known = sorted((number, token) for token, number in base.get_vocab(with_added_tokens=False).items() if not token.startswith("["))
    tokens = [*MARKS, *(token for _, token in known)][:VOCABULARY]
    pairs = [
        f"{token[:cut]} {token[cut:]}" for token in tokens[3:] for cut in range(1, len(token)) if {token[:cut], token[cut:]} <= {*tokens}
    ]
    tokens += [f"<unused{number}>" for number in range(VOCABULARY - len(tokens))]
    return {"tokens": tokens, "kinds": [3] * 3 + [1] * (VOCABULARY - 3), "merges": pairs}


def write(
    path: Path, model: Any, *, kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32, change: Callable[[Any], None] | None = None,
    spoken: dict[str, Any] | None = None,
) -> Path:  # fmt: skip
    """The file of a network.

    Args:
        spoken: its tokenizer, as `words` has it; None: that.
        kind: of its matrices, the table of tokens among them.
        change: what else is said, or said otherwise, before it is written.
    """
    config = model.config
    architecture = config.model_type
    writer = gguf.GGUFWriter(path, architecture)
    _say_sizes(writer, config)
    spoken = spoken or words()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(spoken["tokens"])
    writer.add_token_types(spoken["kinds"])
    writer.add_token_merges(spoken["merges"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_chat_template(TEMPLATE)
    for name, weight in packed(model).items():
        if weight.ndim == 1 or kind == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(name, weight.astype(np.float32))
        elif kind == gguf.GGMLQuantizationType.F16:
            writer.add_tensor(name, weight.astype(np.float16))
        else:
            writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
    if change:
        change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def packed(model: Any) -> Mapping[str, np.ndarray]:
    """The weights under their names there, and as they lie there. Source: llama.cpp's `conversion`; names: the package's own table."""
    config = model.config
    architecture = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == config.model_type)
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    tied = config.tie_word_embeddings
    found = {}
    for name, stored in model.state_dict().items():
        if name == "lm_head.weight" and tied:
            continue
        new = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert new is not None, name
        weight = stored.float()
        if config.model_type in ("llama", "smollm3") and name.endswith(("q_proj.weight", "k_proj.weight")):
            weight = wound(weight, config.num_attention_heads if "q_proj" in name else config.num_key_value_heads)
        if config.model_type == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            weight = weight.T
        if config.model_type == "gemma" and name.endswith("norm.weight"):
            weight = weight + 1
        found[new] = weight.contiguous().numpy()
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "llama3":
        base = 1.0 / rope["rope_theta"] ** (np.arange(0, HIDDEN // HEADS, 2) / (HIDDEN // HEADS))
        factors = [rope_factor(2 * np.pi / frequency, rope) for frequency in base]
        found["rope_freqs.weight"] = np.array(factors, np.float32)
    return found


def rope_factor(wave: float, rope: Mapping[str, float]) -> float:
    """By how much Llama 3 slows down what turns as slowly as `wave`."""
    low, high, positions = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    if wave < positions / high:
        return 1.0
    if wave > positions / low:
        return rope["factor"]
    smooth = (positions / wave - low) / (high - low)
    return 1 / ((1 - smooth) / rope["factor"] + smooth)


def wound(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """llama.cpp's order of a head's rows: neighbours are turned together."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def _say_sizes(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_file_type(0)
    if config.model_type == "gpt2":
        writer.add_feed_forward_length(4 * config.hidden_size)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_rope_dimension_count(size)
    writer.add_key_length(size)
    writer.add_value_length(size)
