"""What an adapter says of itself: `adapter_config.json`, in the words of peft. No torch here.

config.json                  the whole network's, as of any artifact
adapter_config.json          rank, scale and places of the low-rank matrices
adapter_model.safetensors    those matrices, and every weight that the base has not: its new head where it has one
base/                        config.json and model.safetensors of the base, the very bytes, so the same blobs
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hanlin.errors import InvalidInput
from hanlin.networks.config import MAX_CONFIG_BYTES
from hanlin.types import JsonObject, shorten

CONFIG_FILE, WEIGHTS_FILE, BASE_FOLDER = "adapter_config.json", "adapter_model.safetensors", "base"
BASE_WEIGHTS = f"{BASE_FOLDER}/model.safetensors"
MAX_RANK, MAX_TARGETS = 256, 200
# Linear layers that are adapted where nothing is said: what asks and what answers in attention, under the names of the architectures.
# Source: Hu et al., LoRA (2021), section 7.1: of one budget, these two matrices gain most.
USUAL_TARGETS = (
    "query", "value", "q_lin", "v_lin", "query_proj", "value_proj", "q_proj", "v_proj", "q", "v", "query_key_value", "qkv_proj", "in_proj",
    "Wqkv", "c_attn",
)  # fmt: skip
# peft's ways of making the matrices that change what they compute; anything but these values is refused by name.
_PLAIN: dict[str, tuple[object, ...]] = {
    "bias": ("none",), "fan_in_fan_out": (False, True), "use_dora": (False,), "use_qalora": (False,), "use_bdlora": (None, False),
    "lora_bias": (False,), "rank_pattern": ({}, None), "alpha_pattern": ({}, None), "layer_replication": (None,),
    "target_parameters": (None, []), "trainable_token_indices": (None,), "arrow_config": (None,), "alora_invocation_tokens": (None,),
    "layers_to_transform": (None,), "exclude_modules": (None, []), "kasa_config": (None,), "megatron_config": (None,),
    "velora_config": (None,), "monteclora_config": (None,),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """Low-rank matrices beside linear layers of a frozen base; of rank 0 there are none, and the head alone is new.

    Attributes:
        alpha: the product of the matrices counts `alpha / rank` times, or `alpha / sqrt(rank)` where `is_root_scaled`.
        dropout: share of a layer's inputs that the matrices do not see in training.
        targets: last parts of the names of the layers that have them; none yet where the usual ones are wanted (`USUAL_TARGETS`).
        is_transposed: it has layers whose matrices stand the other way, as GPT-2's do; peft wants it said, we see it.
        base: what it stands on, for people.
        heads: modules that are new as a whole, which peft wants named.
    """

    rank: int
    alpha: float = 16.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ()
    is_root_scaled: bool = False
    is_transposed: bool = False
    base: str = ""
    heads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(0 <= self.rank <= MAX_RANK, "r", self.rank)
        _check(math.isfinite(self.alpha) and 0 < self.alpha <= 1e4, "lora_alpha", self.alpha)
        _check(0 <= self.dropout < 1, "lora_dropout", self.dropout)
        _check(len(self.targets) <= (MAX_TARGETS if self.rank else 0), "target_modules", self.targets)

    @property
    def scaling(self) -> float:
        """How often the product of the matrices counts."""
        return self.alpha / (math.sqrt(self.rank) if self.is_root_scaled else self.rank) if self.rank else 0.0

    def has(self, name: str) -> bool:
        """Whether the layer of this name is adapted."""
        return any(name == target or name.endswith(f".{target}") for target in self.targets)

    def to_json(self) -> JsonObject:
        """The stored form, which peft reads."""
        return {
            "peft_type": "LORA", "r": self.rank, "lora_alpha": self.alpha, "lora_dropout": self.dropout, "bias": "none",
            "target_modules": [*self.targets], "use_rslora": self.is_root_scaled,
            "fan_in_fan_out": self.is_transposed, "base_model_name_or_path": self.base or None,
            "inference_mode": True, "modules_to_save": [*self.heads] or None,
        }  # fmt: skip

    @classmethod
    def of(cls, values: Mapping[str, object]) -> AdapterSettings:
        """From the stored form, or peft's own. Raises InvalidInput (`unsupported_adapter`) naming what we do not compute."""
        _check(values.get("peft_type") == "LORA", "peft_type", values.get("peft_type"))
        for name, plain in _PLAIN.items():
            _check(values.get(name, plain[0]) in plain, name, values.get(name))
        rank, alpha, dropout = values.get("r"), values.get("lora_alpha"), values.get("lora_dropout", 0.0)
        targets, base = values.get("target_modules") or [], values.get("base_model_name_or_path") or ""
        _check(type(rank) is int, "r", rank)
        _check(type(alpha) in (int, float) and _is_small(alpha), "lora_alpha", alpha)
        _check(type(dropout) in (int, float) and _is_small(dropout), "lora_dropout", dropout)
        _check(
            isinstance(targets, list) and all(isinstance(name, str) and 0 < len(name) <= 200 for name in targets), "target_modules", targets
        )
        assert isinstance(rank, int) and isinstance(alpha, int | float) and isinstance(dropout, int | float) and isinstance(targets, list)
        _check(bool(targets) == bool(rank), "target_modules", targets)
        return cls(
            rank, float(alpha), float(dropout), tuple(sorted(targets)), values.get("use_rslora") is True,
            values.get("fan_in_fan_out") is True, shorten(str(base)),
        )  # fmt: skip

    def save(self, folder: Path) -> None:
        """Write `adapter_config.json`."""
        (folder / CONFIG_FILE).write_text(json.dumps(self.to_json(), indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> AdapterSettings:
        """Read `adapter_config.json`. Raises InvalidInput (`unsupported_adapter`)."""
        path = folder / CONFIG_FILE
        try:
            _check(path.stat().st_size <= MAX_CONFIG_BYTES, CONFIG_FILE, path.stat().st_size)
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidInput("unsupported_adapter", name=CONFIG_FILE, value="not JSON") from error
        _check(isinstance(values, dict), CONFIG_FILE, values)
        return cls.of(values)


def is_adapter(folder: Path) -> bool:
    """Whether the artifact in `folder` is an adapter with its base."""
    return (folder / CONFIG_FILE).is_file()


def _is_small(value: object) -> bool:
    """Whether a number is far from where integers are too large for a float."""
    return isinstance(value, int | float) and abs(value) < 1e15  # not so of NaN


def _check(is_right: bool, name: str, value: object) -> None:
    if not is_right:
        raise InvalidInput("unsupported_adapter", name=name, value=shorten(str(value)))
