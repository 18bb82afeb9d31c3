"""The Transformer encoder, written out: scaled dot-product attention, several heads, positions, layer norm before each part.

Source: Vaswani et al., Attention Is All You Need (2017); the norm stands before each part (Xiong et al., On Layer Normalization, 2020).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.networks.config import NetworkConfig
from hanlin.networks.dropout import Dropout
from hanlin.networks.embedding import sinusoids


class MultiHeadAttention(nn.Module):
    """Every token looks at every real token, in several subspaces at once."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.output = (nn.Linear(size, size) for _ in range(4))
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """hidden (batch, length, size); bias (batch, 1, 1, length): 0 for real tokens, very negative for padding."""
        query, key, value = (self._split(part(hidden)) for part in (self.query, self.key, self.value))  # (batch, heads, length, size/heads)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + bias  # (batch, heads, length, length)
        mixed = self.dropout(scores.softmax(-1)) @ value
        joined = mixed.transpose(1, 2).flatten(2)  # (batch, length, size)
        out: Tensor = self.output(joined)
        return out

    def _split(self, hidden: Tensor) -> Tensor:
        batch, length, size = hidden.shape
        return hidden.view(batch, length, self.heads, size // self.heads).transpose(1, 2)


class Block(nn.Module):
    """Attention, then two linear layers with GELU; each reads a normed copy and adds to the stream."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.attention = MultiHeadAttention(size, config.num_attention_heads, config.dropout)
        self.attention_norm = nn.LayerNorm(size)
        self.expand = nn.Linear(size, config.intermediate_size)
        self.contract = nn.Linear(config.intermediate_size, size)
        self.feedforward_norm = nn.LayerNorm(size)
        self.dropout = Dropout(config.dropout)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """hidden (batch, length, size) → same."""
        hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden), bias))
        wide = functional.gelu(self.expand(self.feedforward_norm(hidden)))
        out: Tensor = hidden + self.dropout(self.contract(wide))
        return out


class TransformerEncoder(nn.Module):
    """Positions, blocks, a last norm."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.project = nn.Linear(config.embedding_size, size) if config.embedding_size != size else nn.Identity()
        table = sinusoids(config.max_position_embeddings, size) * 0.1  # the scale of our token vectors
        if config.positions == "learned":
            self.positions = nn.Parameter(torch.randn_like(table) * 0.02)
        else:
            self.register_buffer("positions", table, persistent=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(size)
        self.output_size = size

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(batch, length, embedding_size), (batch, length) → (batch, length, hidden_size)."""
        hidden: Tensor = self.project(vectors)
        hidden = hidden + self.positions[: hidden.shape[1]].to(hidden.dtype)
        bias = (1 - mask[:, None, None, :].to(hidden.dtype)) * -1e4
        for block in self.blocks:
            hidden = block(hidden, bias)
        out: Tensor = self.norm(hidden)
        return out
