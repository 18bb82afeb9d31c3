"""One vector per text from one vector per token; padding never counts."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over real tokens. hidden (batch, length, size), mask (batch, length) 1 or 0 → (batch, size)."""
    weights = mask[:, :, None].to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


def masked_max(hidden: Tensor, mask: Tensor) -> Tensor:
    """Largest value over real tokens. hidden (batch, length, size), mask (batch, length) 1 or 0 → (batch, size)."""
    return hidden.masked_fill(mask[:, :, None] == 0, -1e4).amax(1)


class AttentionPooling(nn.Module):
    """A learned mean: each token's weight is the softmax of a score that a small network gives it.

    Source: Yang et al., Hierarchical Attention Networks for Document Classification (2016), equations 5 to 7.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.look = nn.Linear(size, size)
        self.context = nn.Linear(size, 1, bias=False)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """hidden (batch, length, size), mask (batch, length) 1 or 0 → (batch, size)."""
        scores: Tensor = self.context(self.look(hidden).tanh()).squeeze(-1)  # (batch, length)
        weights = scores.masked_fill(mask == 0, -1e4).softmax(1)
        return (hidden * weights[:, :, None]).sum(1)


def reverse_index(mask: Tensor) -> Tensor:
    """For each row the positions of its real tokens from last to first; padding stays where it is.

        mask 1 1 1 0 0  →  2 1 0 3 4

    The index is its own inverse, so reading a reversed sequence through it restores the order. (batch, length) int64 both.
    """
    lengths = mask.sum(1, keepdim=True)  # (batch, 1)
    positions = torch.arange(mask.shape[1], device=mask.device)[None, :]
    return torch.where(positions < lengths, lengths - 1 - positions, positions)


def gather_rows(hidden: Tensor, index: Tensor) -> Tensor:
    """hidden (batch, length, size) with positions reordered by index (batch, length)."""
    return hidden.gather(1, index[:, :, None].expand(-1, -1, hidden.shape[2]))
