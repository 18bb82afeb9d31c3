"""The encoder–decoder Transformer: one stack reads the source, another writes the target and looks at it.

Source: Vaswani et al., Attention Is All You Need (2017), with norms before each part.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from hanlin.networks.bert_encoder import BertEncoder
from hanlin.networks.config import NetworkConfig
from hanlin.networks.decoder import Decoder, Positions, padding_bias
from hanlin.networks.dropout import Dropout
from hanlin.networks.kv_cache import DecoderCache
from hanlin.networks.transformer import Block


class SourceEncoder(nn.Module):
    """Token vectors, positions, blocks that see everything, a last norm."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.scale = math.sqrt(config.hidden_size)
        self.tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        nn.init.normal_(self.tokens.weight, std=config.hidden_size**-0.5)
        self.positions = Positions(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        for block in self.blocks:
            block.attention.is_fused = True  # type: ignore[union-attr]  # a Block
        self.norm = nn.LayerNorm(config.hidden_size)
        self.dropout = Dropout(config.embedding_dropout)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length) int64 both → (batch, length, size); what stands at padding means nothing."""
        places = (attention_mask.cumsum(1) - 1).clamp(min=0)
        vectors, angles = self.positions(self.tokens(input_ids) * self.scale, places)
        hidden, bias = self.dropout(vectors), padding_bias(attention_mask, vectors.dtype)
        for block in self.blocks:
            hidden = block(hidden, bias, angles)
        out: Tensor = self.norm(hidden)
        return out


class EncoderDecoder(nn.Module):
    """Scores of a target's next token from the source and the target's tokens before it. Tied, both sides and the output share a table."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = BertEncoder(config) if config.encoder == "bert" else SourceEncoder(config)
        self.decoder = Decoder(config, config.num_decoder_layers, has_source=True)
        if config.tie_word_embeddings:
            self.encoder.tokens.weight = self.decoder.tokens.weight

    def forward(self, input_ids: Tensor, attention_mask: Tensor, target_ids: Tensor, target_mask: Tensor) -> Tensor:
        """(batch, length) int64 each, the target beginning with `bos_token_id` → (batch, target length, vocabulary)."""
        cache = self.start(input_ids, attention_mask)
        scores: Tensor = self.decoder(target_ids, target_mask, cache)
        return scores

    def start(self, input_ids: Tensor, attention_mask: Tensor) -> DecoderCache:
        """Read the source once: what the decoder remembers before its first token."""
        hidden = self.encoder(input_ids, attention_mask)
        cache = DecoderCache.empty(len(self.decoder.blocks), len(input_ids))
        cache.source = [block.source_attention.remember(hidden) for block in self.decoder.blocks]  # type: ignore[union-attr,operator]  # DecoderBlocks
        cache.source_bias = padding_bias(attention_mask, hidden.dtype)
        return cache

    @property
    def vocab_size(self) -> int:
        """Rows of the token table."""
        return self.config.vocab_size
