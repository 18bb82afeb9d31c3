"""A network that continues its row, in the form that is traced: what it remembers comes in and goes out as plain arrays. Not for training.

input_ids, position_ids (rows, new); attention_mask (rows, before + new); each block's keys and values (rows, heads, before, size)
→ scores of what comes after each new token (rows, new, vocabulary); each block's keys and values (rows, heads, before + new, size)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.networks.decoder import CausalDecoder

Pair = tuple[Tensor, Tensor]


def traced_form(module: nn.Module) -> nn.Module:
    """The form of a decoder of ours or of transformers. Raises InvalidInput (`cannot_export`) for a network that has none."""
    if isinstance(module, CausalDecoder):
        return OwnForm(module)
    config = getattr(module, "config", None)
    is_causal = not getattr(config, "is_encoder_decoder", True) and hasattr(module, "get_output_embeddings")
    if not is_causal or _looks_back_only_so_far(config):
        raise InvalidInput("cannot_export", details=f"{type(module).__name__} has no form that remembers in blocks")
    return PretrainedForm(module)


def _looks_back_only_so_far(config: object) -> bool:
    """Whether some layer sees fewer tokens than its row may have: the mask here lets each see all before it."""
    window, positions = getattr(config, "sliding_window", None), getattr(config, "max_position_embeddings", 0)
    if not isinstance(window, int) or getattr(config, "use_sliding_window", True) is False:
        return False
    kinds = getattr(config, "layer_types", None)
    return window < positions and (kinds is None or "sliding_attention" in kinds)


def remembered(module: nn.Module) -> list[tuple[int, int]]:
    """Heads and numbers a head of what each block remembers, as two tokens show it."""
    if isinstance(module, CausalDecoder):
        heads, size = module.config.num_attention_heads, module.config.hidden_size
        return [(heads, size // heads)] * len(module.decoder.blocks)
    from transformers import DynamicCache

    cache = DynamicCache(config=cast("Any", module.config))
    with torch.inference_mode():
        module(input_ids=torch.zeros(1, 2, dtype=torch.long), past_key_values=cache, use_cache=True)
    return [(layer.keys.shape[1], layer.keys.shape[3]) for layer in cache.layers]


class Remembering:
    """A cache as transformers' networks ask it, over arrays that came in."""

    is_compileable = False

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = list(pairs)
        self.before = pairs[0][0].shape[2]

    def update(self, keys: Tensor, values: Tensor, number: int, *_: object, **__: object) -> Pair:
        """Those of all tokens of a block, further ones added."""
        held = self.pairs[number]
        self.pairs[number] = (torch.cat([held[0], keys], 2), torch.cat([held[1], values], 2))
        return self.pairs[number]

    def get_seq_length(self, *_: object) -> int:
        """Tokens before the new ones."""
        return self.before

    def get_mask_sizes(self, new: int, *_: object) -> tuple[int, int]:
        """Tokens with the new ones, and where they begin."""
        return self.before + new, 0

    def __len__(self) -> int:
        return len(self.pairs)

    def flat(self) -> list[Tensor]:
        """Keys and values in turn."""
        return [array for pair in self.pairs for array in pair]


class PretrainedForm(nn.Module):
    """See the module. The mask is made here, so that none of the architecture's own ways to make one is traced."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        """See the module."""
        cache = Remembering(_pairs(past))
        seen = _earlier(input_ids, cache.before) & attention_mask[:, None, None, :].bool()
        found = self.model(input_ids=input_ids, attention_mask=seen, position_ids=position_ids, past_key_values=cache, use_cache=True)
        return (found.logits, *cache.flat())


class OwnForm(nn.Module):
    """See the module."""

    def __init__(self, network: CausalDecoder) -> None:
        super().__init__()
        self.decoder = network.decoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        """See the module."""
        decoder, cache = self.decoder, Remembering(_pairs(past))
        hidden, angles = decoder.positions(decoder.tokens(input_ids) * decoder.scale, position_ids)
        seen = _earlier(input_ids, cache.before) & attention_mask[:, None, None, :].bool()
        for number, block in enumerate(cast("Any", decoder.blocks)):
            normed = block.attention_norm(hidden)
            keys, values = cache.update(*block.attention.remember(normed, angles), number)
            hidden = block.feed(hidden + block.attention.attend(normed, keys, values, seen, angles))
        return (decoder.output(decoder.norm(hidden)), *cache.flat())


def _pairs(past: Sequence[Tensor]) -> list[Pair]:
    return list(zip(past[::2], past[1::2], strict=True))


def _earlier(ids: Tensor, before: int) -> Tensor:
    """(1, 1, new, before + new): whether a token stands at or before each new one."""
    new = ids.shape[1]
    places = torch.arange(before + new)
    return (places[None, :] <= (torch.arange(new) + before)[:, None])[None, None]
