"""Which networks of GGUF files we know: their sizes as transformers' config has them, and what became of each weight on the way into a
file. Whatever a file says or holds that is not named here is refused: a network that lacks a part answers, and answers wrongly.

Source: the `conversion` of llama.cpp (`llama.py`, `gpt2.py`, `gemma.py`, `phi.py`, `olmo.py`), read backwards, and the package `gguf`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np

from hanlin.errors import InvalidInput
from hanlin.models.gguf_file import MAX_TENSORS, GgufFile
from hanlin.types import JsonObject, JsonValue, shorten

Change = Literal["", "queries", "keys", "less_one", "turned"]  # see `gguf_weights`

_NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
_ATTENTION = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj"}
_GATED = {"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_SIZES = {
    "block_count": "num_hidden_layers", "context_length": "max_position_embeddings", "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size", "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads", "attention.layer_norm_rms_epsilon": "rms_norm_eps", "rope.freq_base": "rope_theta",
}  # fmt: skip
_HEADS = {"attention.key_length", "attention.value_length", "rope.dimension_count"}
_SCALING = {"rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length", "rope.scaling.finetuned"}
_SAID_ELSEWHERE = {"vocab_size"}
_PLAIN: JsonObject = {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
_LLAMA3_LOW, _LLAMA3_HIGH, _LLAMA3_POSITIONS = 1.0, 4.0, 8192
ROPE_FREQS = "rope_freqs.weight"


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of network.

    Attributes:
        model_type: of transformers.
        layer: parts of a layer by their names in the file; those of ours stand behind `layers`.
        changes: what became of a weight, by its name in the file.
        sizes: what the file calls our keys of config.json.
        fixed: what is so for all of its kind.
        biased: parts that have a bias too.
        more_keys: what else the file may say of its kind.
    """

    model_type: str
    layer: Mapping[str, str]
    top: Mapping[str, str] = field(default_factory=lambda: _TOP)
    layers: str = "model.layers"
    changes: Mapping[str, Change] = field(default_factory=dict)
    sizes: Mapping[str, str] = field(default_factory=lambda: _SIZES)
    fixed: JsonObject = field(default_factory=dict)
    biased: frozenset[str] = frozenset()
    more_keys: frozenset[str] = frozenset()


_WOUND: Mapping[str, Change] = {"attn_q": "queries", "attn_k": "keys"}
_GEMMA: Mapping[str, Change] = {"attn_norm": "less_one", "ffn_norm": "less_one", "output_norm": "less_one"}
_GPT2: Mapping[str, Change] = {"attn_qkv": "turned", "attn_output": "turned", "ffn_up": "turned", "ffn_down": "turned"}
_GPT2_LAYER = {
    "attn_norm": "ln_1", "attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj", "ffn_norm": "ln_2", "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}  # fmt: skip
_JOINED = {
    "attn_qkv": "self_attn.qkv_proj", "attn_output": "self_attn.o_proj", "ffn_up": "mlp.gate_up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip
_NORMS_BEHIND = {"post_attention_norm": "post_attention_layernorm", "post_ffw_norm": "post_feedforward_layernorm"}
_HEAD_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
FAMILIES = {
    "llama": Family("llama", _NORMS | _ATTENTION | _GATED, changes=_WOUND, fixed=_PLAIN),
    "smollm3": Family(
        "smollm3", _NORMS | _ATTENTION | _GATED, changes=_WOUND,
        fixed=_PLAIN | {"no_rope_layer_interval": 4, "use_sliding_window": False},  # llama.cpp has the 4 in its code
    ),
    "qwen2": Family(
        "qwen2", _NORMS | _ATTENTION | _GATED, fixed={"hidden_act": "silu", "use_sliding_window": False},
        biased=frozenset({"attn_q", "attn_k", "attn_v"}),
    ),
    "qwen3": Family(
        "qwen3", _NORMS | _ATTENTION | _GATED | _HEAD_NORMS,
        fixed={"hidden_act": "silu", "attention_bias": False, "use_sliding_window": False},
    ),
    "gemma": Family(
        "gemma", _NORMS | _ATTENTION | _GATED, changes=_GEMMA,
        fixed={"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "attention_bias": False},
    ),
    "phi3": Family(
        "phi3",
        _NORMS | _JOINED,
        fixed={"hidden_act": "silu"}, more_keys=frozenset({"attention.sliding_window"}),
    ),
    "olmo2": Family(
        "olmo2",
        _NORMS_BEHIND | _ATTENTION | _GATED | _HEAD_NORMS,
        fixed={"hidden_act": "silu", "attention_bias": False},
    ),
    "gpt2": Family(
        "gpt2",
        _GPT2_LAYER,
        top={"token_embd": "transformer.wte", "position_embd": "transformer.wpe", "output_norm": "transformer.ln_f", "output": "lm_head"},
        layers="transformer.h", changes=_GPT2, fixed={"activation_function": "gelu_new"},
        sizes={
            "block_count": "n_layer", "context_length": "n_positions", "embedding_length": "n_embd", "feed_forward_length": "n_inner",
            "attention.head_count": "n_head", "attention.layer_norm_epsilon": "layer_norm_epsilon",
        },
        biased=frozenset({"attn_norm", "attn_qkv", "attn_output", "ffn_norm", "ffn_up", "ffn_down", "output_norm"}),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Weight:
    """One weight: what transformers calls it, what the file does, and what became of it there."""

    name: str
    source: str
    change: Change = ""


def family_of(file: GgufFile) -> Family:
    """Raises InvalidInput (`unsupported_architecture`)."""
    found = file.values.get("general.architecture")
    if found not in FAMILIES:
        raise InvalidInput("unsupported_architecture", architecture=shorten(str(found)), choices=", ".join(FAMILIES))
    return FAMILIES[cast("str", found)]


def weights_of(file: GgufFile, family: Family, layers: int) -> list[Weight]:
    """Every weight of the network, all there. Raises InvalidInput (`gguf_refused`) for one that lacks, or that nobody knows."""
    if layers > MAX_TENSORS:
        raise wrong(file, f"block_count {layers:,}")
    places = {f"blk.{number}.{part}": f"{family.layers}.{number}.{ours}" for number in range(layers) for part, ours in family.layer.items()}
    found = []
    for source, ours in {**family.top, **places}.items():
        part = source.rpartition(".")[2]
        if source == "output" and "output.weight" not in file.tensors:
            continue  # the table of tokens is read both ways
        for kind in ("weight", "bias") if part in family.biased else ("weight",):
            change = family.changes.get(part, "") if kind == "weight" else ""
            found.append(Weight(f"{ours}.{kind}", f"{source}.{kind}", change))
    names = {each.source for each in found}
    if lacking := sorted(names - file.tensors.keys()):
        raise wrong(file, f"no {shorten(', '.join(lacking), 120)}")
    if strange := sorted(file.tensors.keys() - names - {ROPE_FREQS}):
        raise wrong(file, f"unknown {shorten(', '.join(strange), 120)}")
    return found


def config_of(file: GgufFile, family: Family) -> JsonObject:
    """config.json of the network. Raises InvalidInput (`gguf_refused`), naming the value."""
    name = str(file.values["general.architecture"])
    told = {key.removeprefix(f"{name}."): value for key, value in file.values.items() if key.startswith(f"{name}.")}
    known = family.sizes.keys() | _HEADS | _SCALING | _SAID_ELSEWHERE | family.more_keys
    if strange := sorted(told.keys() - known):
        raise wrong(file, f"unknown {shorten(name + '.' + strange[0], 120)}")
    config: JsonObject = {"model_type": family.model_type, **family.fixed, "tie_word_embeddings": "output.weight" not in file.tensors}
    for key, ours in family.sizes.items():
        usual = told.get("attention.head_count") if key == "attention.head_count_kv" else 10_000.0 if key == "rope.freq_base" else None
        config[ours] = _number(file, f"{name}.{key}", told.get(key, usual))
    if (table := file.tensors.get("token_embd.weight")) is None or len(table.shape) != 2:
        raise wrong(file, "no token_embd.weight of two sizes")
    config["vocab_size"] = table.shape[0]
    if family.model_type != "gpt2":
        config |= _rotary(file, name, config, told)
    if window := told.get("attention.sliding_window"):
        config["sliding_window"] = _number(file, f"{name}.attention.sliding_window", window)
    return config


def _rotary(file: GgufFile, name: str, config: JsonObject, told: Mapping[str, object]) -> JsonObject:
    """Sizes of heads, and how positions are stretched."""
    heads, hidden = cast("int", config["num_attention_heads"]), cast("int", config["hidden_size"])
    usual = hidden // heads if type(heads) is int and heads > 0 else None
    size = _number(file, f"{name}.attention.key_length", told.get("attention.key_length", usual))
    if any(told.get(key, size) != size for key in _HEADS):
        raise wrong(file, f"{name}: heads of several sizes, or partly turned")
    found: JsonObject = {} if size == usual else {"head_dim": size}
    kind, factor = told.get("rope.scaling.type", "none"), told.get("rope.scaling.factor", 1.0)
    if ROPE_FREQS in file.tensors:
        return found | {"rope_scaling": _llama3(file, cast("int", size), cast("float", config["rope_theta"]))}
    if kind == "none" or factor in (0, 1):
        return found
    positions = told.get("rope.scaling.original_context_length")
    if kind not in ("linear", "yarn") or (kind == "yarn" and positions is None):
        raise wrong(file, f"{name}.rope.scaling.type {shorten(str(kind))}")
    scaling: JsonObject = {"rope_type": str(kind), "factor": _number(file, f"{name}.rope.scaling.factor", factor)}
    if kind == "yarn":
        scaling["original_max_position_embeddings"] = _number(file, f"{name}.rope.scaling.original_context_length", positions)
    return found | {"rope_scaling": scaling}


def _llama3(file: GgufFile, size: int, theta: float) -> JsonObject:
    """How Llama 3 stretches positions, by the factors that stand in the file: they must be what those words give."""
    if file.tensors[ROPE_FREQS].shape != (size // 2,) or file.tensors[ROPE_FREQS].kind != 0:
        raise wrong(file, ROPE_FREQS)
    there = file.whole(ROPE_FREQS)
    factor = float(there.max())
    waves = 2 * math.pi * theta ** (np.arange(0, size, 2) / size)
    smooth = np.clip((_LLAMA3_POSITIONS / waves - _LLAMA3_LOW) / (_LLAMA3_HIGH - _LLAMA3_LOW), 0, 1)
    if not 1 <= factor <= 1024 or not np.allclose(there, 1 / ((1 - smooth) / factor + smooth), rtol=1e-3):
        raise wrong(file, f"{ROPE_FREQS}: not as Llama 3 stretches positions")
    return {
        "rope_type": "llama3", "factor": factor, "low_freq_factor": _LLAMA3_LOW, "high_freq_factor": _LLAMA3_HIGH,
        "original_max_position_embeddings": _LLAMA3_POSITIONS,
    }  # fmt: skip


def _number(file: GgufFile, name: str, value: object) -> JsonValue:
    """A number of fp32 as people write it."""
    if type(value) is int and 0 <= value < 2**31:
        return value
    if type(value) is float and math.isfinite(value) and value > 0:
        return float(f"{value:.6g}")
    raise wrong(file, f"{name}: {shorten(str(value))}")


def wrong(file: GgufFile, problem: str) -> InvalidInput:
    """The error of a file that holds something else than a network of ours."""
    return InvalidInput("gguf_refused", file=file.name, problem=problem)
