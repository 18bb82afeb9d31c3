"""Networks that answer for every token, new or out of a base, with the learning rates of their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from hanlin.models.pretrained import build_from_base, rate_scales
from hanlin.training.lesson import Setting


def new_or_tuned_tagger(setting: Setting, labels: Sequence[str]) -> tuple[nn.Module, Mapping[str, float]]:
    """A network with `labels` for every token, and factors on the learning rate by parameter name."""
    config = setting.config
    assert setting.base is not None, "own networks come next"
    module = build_from_base(setting.base, labels, dropout=config.dropout, output="token_logits")
    return module, rate_scales(module, layer_decay=config.layer_decay, head_rate=config.head_rate)
