"""Our caches as those of transformers: its attention adds to them and reads them, and we move their rows. Imports transformers.

Layers with a sliding window keep everything as well; the mask hides what has left the window, so rows can be joined and cut anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache, DynamicLayer, EncoderDecoderCache

from hanlin.networks.kv_cache import BlockCache, DecoderCache


class _Layer(CacheLayerMixin):  # type: ignore[misc]  # transformers is not checked
    """One block's cache."""

    is_sliding = False

    def __init__(self, block: BlockCache) -> None:
        super().__init__()
        self._block = block
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing: blocks begin empty."""

    def update(self, key_states: Tensor, value_states: Tensor, *_args: Any, **_more: Any) -> tuple[Tensor, Tensor]:
        """Remember those of further tokens, (rows, heads, tokens, size) each; all there are."""
        return self._block.add(key_states, value_states)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """How many tokens are looked at, and which is the first."""
        return self._block.length + query_length, 0

    def get_seq_length(self) -> int:
        """Tokens that are remembered."""
        return self._block.length

    def get_max_length(self) -> int:
        """No limit."""
        return -1


def cache_of(blocks: Sequence[BlockCache]) -> Cache:
    """What transformers' decoders read and write; the blocks stay the ones that remember."""
    return Cache(layers=[_Layer(block) for block in blocks])


def crossed_cache(cache: DecoderCache) -> EncoderDecoderCache:
    """The same for a decoder that reads a source, whose keys and values are in it once it has read one token."""
    source = DynamicCache()
    for keys, values in cache.source:
        layer = DynamicLayer()
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
        source.layers.append(layer)
    return EncoderDecoderCache(cache_of(cache.blocks), source)


def crossed_of(cache: EncoderDecoderCache) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of the source, as a decoder has left them behind."""
    return [(layer.keys, layer.values) for layer in cache.cross_attention_cache.layers]
