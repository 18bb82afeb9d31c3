"""How fast each weight of a base learns, by where it stands: under the layers, in one of them, above them, or in the new head."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import nn

# The first number of a name: T5 counts parts of a block, too.
_LAYER = re.compile(r"(?:^|\.)(?:layers?|albert_layer_groups|blocks?|h)\.(\d+)\.")
_TABLE = re.compile(r"embed|(?:^|\.)(?:wte|wpe|shared|tokens|positions|types|relative_attention_bias)\b")


def rate_scales(module: nn.Module, *, layer_decay: float, head_rate: float) -> dict[str, float]:
    """Factor on the learning rate per parameter: `head_rate` for the head, falling by `layer_decay` from the top layer down.

    The head is what stands outside of the encoder (transformers' `base_model`): a pooler or a last norm inside of it learns as the top
    layer does. Of a network that reads and writes each side falls from its own top. ALBERT's layers share weights: they are layer 0.
    Source: Howard and Ruder, Universal Language Model Fine-tuning (2018), section 3.2, for slower lower layers.
    """
    places = _places(module)
    tops: dict[str, int] = {}
    for name in places.values():
        if found := _LAYER.search(name):
            tops[name[: found.start()]] = max(tops.get(name[: found.start()], 0), int(found.group(1)))
    names = [name for name, _ in module.named_parameters()]
    return {name: layer_decay ** _depth(places[name], tops) if name in places else head_rate for name in names}


def _places(module: nn.Module) -> dict[str, str]:
    """The base's own names of its weights by their names in `module`, where a head may share one; a network of ours is all base."""
    body = base_of(module)
    if body is None:
        return {name: name for name, _ in module.named_parameters()}
    own = {id(parameter): name for name, parameter in body.named_parameters()}
    return {name: own[id(parameter)] for name, parameter in module.named_parameters() if id(parameter) in own}


def base_of(module: nn.Module) -> nn.Module | None:
    """The network inside the first one of transformers in `module`, without its head."""
    from transformers import PreTrainedModel

    found = next((part for part in module.modules() if isinstance(part, PreTrainedModel)), None)
    return None if found is None else found.base_model


def _depth(name: str, tops: Mapping[str, int]) -> int:
    """Layers between a weight and the head; tables of tokens and places lie under all of them."""
    if found := _LAYER.search(name):
        return tops[name[: found.start()]] - int(found.group(1))
    return 1 + max(tops.values(), default=0) if _TABLE.search(name) else 0
