"""Low-rank matrices beside the linear layers of a network that stands: put in, taken into the weights, written and read.

Source: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2021): W x + (alpha / rank) B A x, W frozen, B zero at first.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.networks.adapter import BASE_FOLDER, CONFIG_FILE, USUAL_TARGETS, WEIGHTS_FILE, AdapterSettings
from hanlin.networks.config import NetworkConfig
from hanlin.networks.dropout import Dropout
from hanlin.networks.heads import PretrainedClassifier
from hanlin.types import shorten

_PEFT = "base_model.model."  # what peft writes before every name
_BASE_FILES = ("config.json", "model.safetensors")
_SETTINGS = "adapter_settings"  # attribute of a network that has an adapter


def is_transposed(layer: nn.Module) -> bool:
    """Whether it is transformers' `Conv1D`, GPT-2's linear layer, whose matrix is (in, out)."""
    return type(layer).__name__ == "Conv1D"


class LoraLinear(nn.Module):
    """A frozen linear layer and its low-rank addition. Names as peft's, so that its files are ours."""

    def __init__(self, base: nn.Module, settings: AdapterSettings) -> None:
        super().__init__()
        self.base = base.requires_grad_(requires_grad=False)
        rows, columns = cast("Tensor", base.weight).shape
        num_out, num_in = (columns, rows) if is_transposed(base) else (rows, columns)
        self.lora_A = nn.Linear(num_in, settings.rank, bias=False)
        self.lora_B = nn.Linear(settings.rank, num_out, bias=False)
        self.scaling = settings.scaling
        self.dropout = Dropout(settings.dropout)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)

    @property
    def weight(self) -> Tensor:
        """The base's, for networks that look what type it has (T5)."""
        return cast("Tensor", self.base.weight)

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
        return cast("Tensor", self.base(hidden) + self.lora_B(self.lora_A(self.dropout(hidden))) * self.scaling)

    @torch.no_grad()
    def merged(self) -> nn.Module:
        """One layer that answers the same."""
        product = (self.lora_B.weight @ self.lora_A.weight) * self.scaling
        cast("Tensor", self.base.weight).add_(product.T if is_transposed(self.base) else product)
        return self.base


def inner_of(module: nn.Module) -> nn.Module:
    """The network in `module` that an adapter can stand on: one of transformers, or one of ours that writes.

    Raises:
        InvalidInput: `adapter_without_base` where there is none.
    """
    config: Any = getattr(module, "config", None)
    if isinstance(config, NetworkConfig) and config.is_generator:
        return module
    from transformers import PreTrainedModel

    for part in module.modules():
        if isinstance(part, PreTrainedModel):
            return cast("nn.Module", part)
    raise InvalidInput("adapter_without_base")


def settings_of(module: nn.Module) -> AdapterSettings | None:
    """The settings of the adapter that a network has."""
    return getattr(module, _SETTINGS, None)


def attach(module: nn.Module, settings: AdapterSettings, base_names: Collection[str]) -> AdapterSettings:
    """Freeze what the base brought and put low-rank matrices beside its layers, in place. What stays to learn: they, and the head.

    Args:
        settings: with the targets as asked for; none means the usual ones of the architecture.
        base_names: names of the weights in the base's file. A weight of the encoder that is not there is new, so it belongs to the adapter.

    Returns:
        The settings with the targets that were found.

    Raises:
        InvalidInput: `adapter_without_target`, `adapter_learns_nothing`.
    """
    inner = inner_of(module)
    prefix = str(getattr(inner, "base_model_prefix", ""))
    known = {name.removeprefix(f"{prefix}.") for name in base_names}
    has_head = any(isinstance(part, PretrainedClassifier) for part in module.modules())
    for name, parameter in inner.named_parameters():
        is_encoder = name.startswith(f"{prefix}.") or not has_head
        parameter.requires_grad_(has_head and not (is_encoder and name.removeprefix(f"{prefix}.") in known))
    if settings.rank:
        settings = _put_in(inner, settings, prefix if has_head else "")
    setattr(inner, _SETTINGS, settings)
    if not any(parameter.requires_grad for parameter in inner.parameters()):
        raise InvalidInput("adapter_learns_nothing")
    return settings


def _put_in(inner: nn.Module, settings: AdapterSettings, prefix: str) -> AdapterSettings:
    asked = settings.targets or USUAL_TARGETS
    tables = {id(layer.weight) for layer in inner.modules() if isinstance(layer, nn.Embedding)}  # what is tied to one is a table, too
    layers = {
        name: layer for name, layer in inner.named_modules()
        if (isinstance(layer, nn.Linear) or is_transposed(layer)) and name.startswith(prefix) and id(layer.weight) not in tables
    }  # fmt: skip
    if asked == ("all",):  # of the stacked layers: what stands once, such as a pooler, is no place for a low rank
        asked = tuple(sorted({name.rsplit(".", 1)[-1] for name in layers if any(part.isdigit() for part in name.split("."))}))
    wanted = replace(settings, targets=asked)
    found = [  # what is new learns as a whole
        name for name, layer in layers.items() if wanted.has(name) and not cast("Tensor", layer.weight).requires_grad
    ]
    if not found:
        choices = sorted({name.rsplit(".", 1)[-1] for name in layers})
        raise InvalidInput("adapter_without_target", names=shorten(", ".join(asked)), choices=shorten(", ".join(choices), 300))
    for name in found:
        _swap(inner, name, LoraLinear(layers[name], settings))
    used = tuple(target for target in asked if any(name == target or name.endswith(f".{target}") for name in found))
    return replace(settings, targets=used, is_transposed=any(is_transposed(layers[name]) for name in found))


def _swap(root: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(root.get_submodule(parent), last, layer)


def weight_names(file: Path) -> set[str]:
    """Names of the weights in a file of safetensors. Raises InvalidInput (`weights_do_not_fit`)."""
    try:
        with safe_open(file, framework="pt") as opened:
            return set(opened.keys())
    except (OSError, SafetensorError) as error:
        raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names=file.name) from error


def save_adapter(inner: nn.Module, settings: AdapterSettings, folder: Path) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors`: all that learned, fp32."""
    state = {f"{_PEFT}{name}": tensor.detach().float().contiguous() for name, tensor in inner.named_parameters() if tensor.requires_grad}
    heads = {name.removeprefix(_PEFT).rsplit(".", 1)[0] for name in state if not _is_matrix(name)}
    replace(settings, heads=tuple(sorted(heads))).save(folder)
    save_file(state, folder / WEIGHTS_FILE, metadata={"format": "pt"})


def read_adapter(folder: Path) -> dict[str, Tensor]:
    """The weights of an adapter by the names they have in its network. Raises InvalidInput (`weights_do_not_fit`)."""
    try:
        found = load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names=WEIGHTS_FILE) from error
    return {name.removeprefix(_PEFT): tensor for name, tensor in found.items()}


@torch.no_grad()
def fill(inner: nn.Module, tensors: Mapping[str, Tensor], new: Collection[str]) -> None:
    """Put an adapter's weights into a network whose layers have their matrices.

    Args:
        new: names of weights that the base did not bring: the adapter must.

    Raises:
        InvalidInput: `weights_do_not_fit` naming weights that have no place or are the base's, have another shape, or are missing.
    """
    places = dict(inner.named_parameters())
    needed = {name for name in places if _is_matrix(name)} | set(new)
    own = {name for name, parameter in places.items() if parameter.requires_grad} | set(new)  # what is frozen is the base's
    wrong = sorted(name for name, tensor in tensors.items() if name not in own or places[name].shape != tensor.shape)
    wrong += sorted(needed - tensors.keys())
    if wrong or not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise InvalidInput("weights_do_not_fit", names=", ".join(wrong[:5])[:200] or WEIGHTS_FILE)
    for name, tensor in tensors.items():
        places[name].copy_(tensor)


def _is_matrix(name: str) -> bool:
    return ".lora_A." in name or ".lora_B." in name


def merge(module: nn.Module) -> None:
    """Take all low-rank matrices into the weights beside them, in place: a plain network that answers the same."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, LoraLinear):
                setattr(parent, name, child.merged())
        if hasattr(parent, _SETTINGS):
            delattr(parent, _SETTINGS)


def base_folder(folder: Path) -> Path:
    """Where an adapter's base lies. Raises InvalidInput (`missing_file`)."""
    if not (folder / BASE_FOLDER / "model.safetensors").is_file():
        raise InvalidInput("missing_file", file=f"{BASE_FOLDER}/model.safetensors ({CONFIG_FILE})")
    return folder / BASE_FOLDER


def lay_out_base(base: Path, out: Path) -> None:
    """The weights of the base under `out`: the same bytes, copied only where a link cannot be."""
    (out / BASE_FOLDER).mkdir()
    for name in _BASE_FILES:
        target = out / BASE_FOLDER / name
        try:
            os.link(base / name, target)
        except OSError:
            shutil.copyfile(base / name, target)
