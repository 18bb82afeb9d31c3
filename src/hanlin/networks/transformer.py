"""The Transformer encoder, written out: attention and a small network for each token, layer norm before each part.

Source: Vaswani et al., Attention Is All You Need (2017); the norm stands before each part (Xiong et al., On Layer Normalization, 2020).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.networks.attention import MultiHeadAttention
from hanlin.networks.config import NetworkConfig
from hanlin.networks.dropout import Dropout
from hanlin.networks.embedding import sinusoids
from hanlin.networks.rotary import rotary_angles


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

    def forward(self, hidden: Tensor, bias: Tensor, angles: Tensor | None = None) -> Tensor:
        """hidden (batch, length, size) → same; see `MultiHeadAttention.forward`."""
        hidden = hidden + self.dropout(self.attention(self.attention_norm(hidden), bias, angles))
        return self.feed(hidden)

    def feed(self, hidden: Tensor) -> Tensor:
        """The second part, each token by itself."""
        wide = functional.gelu(self.expand(self.feedforward_norm(hidden)))
        out: Tensor = hidden + self.dropout(self.contract(wide))
        return out


class TransformerEncoder(nn.Module):
    """Positions, blocks, a last norm. Positions are added to the vectors, or (`rotary`) turn the queries and keys of every block."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.project = nn.Linear(config.embedding_size, size) if config.embedding_size != size else nn.Identity()
        # No buffer: in bf16 the angle of a late token would be wrong by whole turns.
        is_rotary = config.positions == "rotary"
        self.angles = rotary_angles(config.max_position_embeddings, size // config.num_attention_heads) if is_rotary else None
        table = sinusoids(config.max_position_embeddings, size) * 0.1  # the scale of our token vectors
        if config.positions == "learned":
            self.positions = nn.Parameter(torch.randn_like(table) * 0.02)
        elif not is_rotary:
            self.register_buffer("positions", table, persistent=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(size)
        self.output_size = size

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(batch, length, embedding_size), (batch, length) → (batch, length, hidden_size)."""
        hidden: Tensor = self.project(vectors)
        angles = None if self.angles is None else self.angles[: hidden.shape[1]].to(hidden.device)
        if angles is None:
            hidden = hidden + self.positions[: hidden.shape[1]].to(hidden.dtype)
        bias = (1 - mask[:, None, None, :].to(hidden.dtype)) * -1e4
        for block in self.blocks:
            hidden = block(hidden, bias, angles)
        out: Tensor = self.norm(hidden)
        return out
