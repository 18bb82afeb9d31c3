"""The encoder of BERT's form, as one of our networks that write reads its source with: norms behind each part, learned positions.

Source: Devlin et al., BERT (2019); Rothe et al., Leveraging Pre-trained Checkpoints for Sequence Generation Tasks (2020), for what stands
on it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.networks.config import NetworkConfig
from hanlin.networks.decoder import padding_bias
from hanlin.networks.dropout import Dropout
from hanlin.networks.transformer import Block


class PostNormBlock(Block):
    """The same weights in BERT's order: a part reads the stream itself, and what it adds is normed with it."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.attention.is_fused = True
        for norm in (self.attention_norm, self.feedforward_norm):
            norm.eps = config.layer_norm_eps

    def forward(self, hidden: Tensor, bias: Tensor, angles: Tensor | None = None) -> Tensor:
        """hidden (batch, length, size) → same; see `MultiHeadAttention.forward`."""
        hidden = self.attention_norm(hidden + self.dropout(self.attention(hidden, bias, angles)))
        wide = functional.gelu(self.expand(hidden))
        out: Tensor = self.feedforward_norm(hidden + self.dropout(self.contract(wide)))
        return out


class BertEncoder(nn.Module):
    """Token vectors and learned positions under a norm, then blocks. Called as `SourceEncoder` is."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.tokens = nn.Embedding(config.vocab_size, size)
        self.positions = nn.Parameter(torch.randn(config.encoder_positions, size) * 0.02)
        self.embedding_norm = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.blocks = nn.ModuleList(PostNormBlock(config) for _ in range(config.num_hidden_layers))
        self.dropout = Dropout(config.dropout)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length) int64 both → (batch, length, size); what stands at padding means nothing."""
        places = (attention_mask.cumsum(1) - 1).clamp(min=0)
        hidden: Tensor = self.dropout(self.embedding_norm(self.tokens(input_ids) + self.positions[places]))
        bias = padding_bias(attention_mask, hidden.dtype)
        for block in self.blocks:
            hidden = block(hidden, bias)
        return hidden
