"""Rotary positions: a token's place turns its queries and keys, so that their product knows the distance and nothing else.

Source: Su et al., RoFormer (2021). The two halves of a head are the pairs that turn together, as in Llama, not neighbours as in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor


def rotary_angles(length: int, size: int, *, base: float = 10_000.0) -> Tensor:
    """How far each pair of a head of `size` numbers turns at each place: (length, size / 2) float32."""
    rates = base ** -(torch.arange(0, size, 2) / size)  # (size / 2,)
    return torch.arange(length)[:, None] * rates


def rotate(vectors: Tensor, angles: Tensor) -> Tensor:
    """`vectors` (…, length, size) turned by `angles` (…, length, size / 2); lengths of vectors stay."""
    cos, sin = angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype)
    first, second = vectors.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
