"""Scaled dot-product attention in several heads, of a sequence over itself or over another. Source: Vaswani et al. (2017), section 3.2."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from hanlin.networks.dropout import Dropout
from hanlin.networks.rotary import rotate


class MultiHeadAttention(nn.Module):
    """Every token looks at every token that it may see, in several subspaces at once.

    Args:
        is_fused: torch's kernel in eval mode instead of the three lines that say the same. Graphs that are exported keep the lines.
    """

    def __init__(self, size: int, heads: int, dropout: float, *, is_fused: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.is_fused = is_fused
        self.query, self.key, self.value, self.output = (nn.Linear(size, size) for _ in range(4))
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, bias: Tensor, angles: Tensor | None = None) -> Tensor:
        """A sequence over itself: hidden (batch, length, size) → same.

        Args:
            bias: (batch, 1, 1 or length, length): 0 where a token may be seen, very negative where not.
            angles: of rotary positions, (…, length, size / heads / 2).
        """
        keys, values = self.remember(hidden, angles)
        return self.attend(hidden, keys, values, bias, angles)

    def remember(self, source: Tensor, angles: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Keys and values of `source` (batch, length, size), (batch, heads, length, size / heads) each: all that attention reads of it."""
        keys, values = self._split(self.key(source)), self._split(self.value(source))
        return (keys if angles is None else rotate(keys, angles)), values

    def attend(self, hidden: Tensor, keys: Tensor, values: Tensor, bias: Tensor, angles: Tensor | None = None) -> Tensor:
        """hidden (batch, length, size) over what is remembered → (batch, length, size)."""
        query = self._split(self.query(hidden))
        if angles is not None:
            query = rotate(query, angles)
        if self.is_fused and not self.training:
            mixed = functional.scaled_dot_product_attention(query, keys, values, attn_mask=bias)
        else:
            scores = query @ keys.transpose(-1, -2) / math.sqrt(query.shape[-1]) + bias  # (batch, heads, length, keys)
            mixed = self.dropout(scores.softmax(-1)) @ values
        joined = mixed.transpose(1, 2).flatten(2)  # (batch, length, size)
        out: Tensor = self.output(joined)
        return out

    def _split(self, hidden: Tensor) -> Tensor:
        batch, length, size = hidden.shape
        return hidden.view(batch, length, self.heads, size // self.heads).transpose(1, 2)
