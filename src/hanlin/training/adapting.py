"""Between a course and its loop: an adapter instead of all weights, and activations that are computed twice instead of kept."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.networks.adapter import AdapterSettings
from hanlin.networks.lora import attach, inner_of, lay_out_base, settings_of, weight_names
from hanlin.training.config import TrainConfig
from hanlin.training.encoders import scales_of
from hanlin.training.lesson import Course, Setting


def adapt(course: Course, setting: Setting) -> Mapping[str, float]:
    """Do to the course's module what its options say, in place; factors on the learning rates of what is left to learn.

    Raises:
        InvalidInput: options that this network cannot follow.
    """
    config = course.config
    if config.recompute:
        _recompute(course.module)
    if config.adapter == "none":
        return course.scales
    config.check_adapter()
    assert setting.base is not None, "of a base"
    attach(course.module, _settings(config), weight_names(setting.base / "model.safetensors"))
    lay_out_base(setting.base, setting.out)
    numbers = [(parameter.numel(), parameter.requires_grad) for parameter in course.module.parameters()]
    learning = sum(number for number, is_learning in numbers if is_learning)
    setting.progress.message("adapter_attached", learning=learning, weights=sum(number for number, _ in numbers))
    return scales_of(course.module, config) if course.scales else {}


def frozen_weights(module: nn.Module) -> dict[str, Tensor]:
    """Copies of the weights that an adapter leaves alone; none where there is no adapter."""
    if not any(settings_of(part) for part in module.modules()):
        return {}
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters() if not parameter.requires_grad}


@torch.no_grad()
def put_back(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give those weights back, which training in bf16 had rounded."""
    places = dict(module.named_parameters())
    for name, weight in weights.items():
        places[name].copy_(weight)


def _settings(config: TrainConfig) -> AdapterSettings:
    if config.adapter == "head":
        return AdapterSettings(0)
    targets = () if config.lora_targets == "auto" else tuple(part.strip() for part in config.lora_targets.split(","))
    return AdapterSettings(config.lora_rank, config.lora_alpha, config.lora_dropout, targets)


def _recompute(module: nn.Module) -> None:
    """Raises InvalidInput (`invalid_training_option`) for a network that cannot."""
    try:
        inner = inner_of(module)
        inner.activation_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]  # of transformers' networks
    except (InvalidInput, ValueError, AttributeError) as error:  # ours have no such thing
        raise InvalidInput("invalid_training_option", name="recompute", value="true", right="false for this network") from error
