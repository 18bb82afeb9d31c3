"""The causal Transformer: each token sees itself and those before it, and says which comes next.

Source: Vaswani et al., Attention Is All You Need (2017); norms before each part, tied embeddings (Press and Wolf, 2017).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hanlin.networks.attention import MultiHeadAttention
from hanlin.networks.config import NetworkConfig
from hanlin.networks.dropout import Dropout
from hanlin.networks.embedding import sinusoids
from hanlin.networks.kv_cache import UNSEEN, DecoderCache
from hanlin.networks.rotary import rotary_angles
from hanlin.networks.transformer import Block


def padding_bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """(rows, tokens) 1 or 0 → (rows, 1, 1, tokens) to be added to scores."""
    return (1 - mask[:, None, None, :].to(dtype)) * UNSEEN


class DecoderBlock(Block):
    """A block of the encoder that remembers, and reads a source where there is one, between its two parts."""

    def __init__(self, config: NetworkConfig, *, has_source: bool) -> None:
        super().__init__(config)
        self.attention.is_fused = True
        self.source_attention: MultiHeadAttention | None = None
        if has_source:
            self.source_attention = MultiHeadAttention(config.hidden_size, config.num_attention_heads, config.dropout, is_fused=True)
            self.source_norm = nn.LayerNorm(config.hidden_size)

    def read(self, hidden: Tensor, bias: Tensor, angles: Tensor | None, cache: DecoderCache, number: int) -> Tensor:
        """hidden (rows, tokens, size) → same; its keys and values go into the cache of block `number`."""
        normed = self.attention_norm(hidden)
        keys, values = cache.blocks[number].add(*self.attention.remember(normed, angles))
        hidden = hidden + self.dropout(self.attention.attend(normed, keys, values, bias, angles))
        if self.source_attention is not None:
            assert cache.source_bias is not None, "a source"
            found = self.source_attention.attend(self.source_norm(hidden), *cache.source[number], cache.source_bias)
            hidden = hidden + self.dropout(found)
        return self.feed(hidden)


class Decoder(nn.Module):
    """Token vectors, positions, blocks, a last norm, and a score for every token of the vocabulary.

    Args:
        has_source: whether its blocks read an encoder's output besides.
    """

    def __init__(self, config: NetworkConfig, num_blocks: int, *, has_source: bool) -> None:
        super().__init__()
        size = config.hidden_size
        self.scale = math.sqrt(size)  # of token vectors: as large as positions, while the scores of tied ones stay small
        self.tokens = nn.Embedding(config.vocab_size, size)
        nn.init.normal_(self.tokens.weight, std=size**-0.5)
        self.positions = Positions(config)
        self.blocks = nn.ModuleList(DecoderBlock(config, has_source=has_source) for _ in range(num_blocks))
        self.norm = nn.LayerNorm(size)
        self.dropout = Dropout(config.embedding_dropout)
        self.output = nn.Linear(size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.output.weight = self.tokens.weight

    def forward(self, input_ids: Tensor, mask: Tensor, cache: DecoderCache, *, last_only: bool = False) -> Tensor:
        """Scores of what comes after each token.

        Args:
            input_ids: (rows, tokens) int64, following those that the cache remembers.
            mask: (rows, tokens) 1 or 0; padding may stand on either side, and counts no position.
            cache: takes these tokens up.
            last_only: of the last token alone.

        Returns:
            (rows, tokens or 1, vocabulary).
        """
        before = cache.mask.shape[1]
        cache.mask = torch.cat([cache.mask, mask], 1)
        places = (cache.mask.cumsum(1) - 1).clamp(min=0)[:, before:]
        vectors, angles = self.positions(self.tokens(input_ids) * self.scale, places)
        bias = padding_bias(cache.mask, vectors.dtype)
        if mask.shape[1] > 1:
            bias = bias + causal_bias(mask.shape[1], cache.mask.shape[1], vectors.dtype)
        hidden = self.dropout(vectors)
        for number, block in enumerate(self.blocks):
            hidden = block.read(hidden, bias, angles, cache, number)  # type: ignore[operator]  # a DecoderBlock
        logits: Tensor = self.output(self.norm(hidden[:, -1:] if last_only else hidden))
        return logits


class Positions(nn.Module):
    """Where tokens stand: vectors that are added to theirs, or angles that turn their queries and keys."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        length, size = config.max_position_embeddings, config.hidden_size
        # No buffer: in bf16 the angle of a late token would be wrong by whole turns.
        self.angles = rotary_angles(length, size // config.num_attention_heads) if config.positions == "rotary" else None
        if config.positions == "learned":
            self.table = nn.Parameter(torch.randn(length, size) * 0.02)
        elif config.positions == "sinusoidal":
            self.register_buffer("table", sinusoids(length, size), persistent=False)

    def forward(self, vectors: Tensor, places: Tensor) -> tuple[Tensor, Tensor | None]:
        """vectors (rows, tokens, size), places (rows, tokens) int64 → vectors with positions, and angles (rows, 1, tokens, size) if any."""
        if self.angles is not None:
            return vectors, self.angles.to(places.device)[places][:, None]
        return vectors + self.table[places].to(vectors.dtype), None


def causal_bias(num_new: int, num_all: int, dtype: torch.dtype) -> Tensor:
    """The last `num_new` of `num_all` tokens see no later one: (1, 1, num_new, num_all) to be added to scores.

    num_new 2, num_all 4:   0 0 0 -
                            0 0 0 0
    """
    return torch.full((num_new, num_all), UNSEEN, dtype=dtype).triu(num_all - num_new + 1)[None, None]


class CausalDecoder(nn.Module):
    """A language model: scores of the next token from those before it."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.decoder = Decoder(config, config.num_hidden_layers, has_source=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length) int64 both → (batch, length, vocabulary): after each token, what comes next."""
        cache = DecoderCache.empty(len(self.decoder.blocks), len(input_ids))
        scores: Tensor = self.decoder(input_ids, attention_mask, cache)
        return scores

    @property
    def vocab_size(self) -> int:
        """Rows of the token table."""
        return self.config.vocab_size
