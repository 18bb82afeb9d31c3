"""Which rows share a batch, and batches as tensors. Deterministic: the same seed and epoch give the same order.

    rows in random order → windows of many batches → each sorted by length → cut by the token budget → batches in random order

Sorting within windows keeps padding small (about 3 % instead of half at the reviews' lengths) and batches random enough.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor

from hanlin.tasks.padding import pad

WINDOW_BATCHES = 50


def plan_epoch(lengths: Sequence[int], *, seed: int, epoch: int, batch_tokens: int, batch_size: int) -> list[list[int]]:
    """Indices of the rows of every batch; each row once. A row longer than the budget stands alone."""
    order = random.Random(f"{seed}/{epoch}")  # noqa: S311  # a shuffle, no secret
    rows = list(range(len(lengths)))
    order.shuffle(rows)
    batches: list[list[int]] = []
    window = batch_size * WINDOW_BATCHES
    for start in range(0, len(rows), window):
        part = sorted(rows[start : start + window], key=lambda row: lengths[row])
        batches += pack(part, lengths, batch_tokens=batch_tokens, batch_size=batch_size)
    order.shuffle(batches)
    return batches


def pack(rows: Sequence[int], lengths: Sequence[int], *, batch_tokens: int, batch_size: int) -> list[list[int]]:
    """Cut `rows`, already in order, so that rows x longest row stays within `batch_tokens`."""
    batches: list[list[int]] = []
    current: list[int] = []
    longest = 0
    for row in rows:
        longest_then = max(longest, lengths[row])
        if current and (len(current) == batch_size or longest_then * (len(current) + 1) > batch_tokens):
            batches.append(current)
            current, longest_then = [], lengths[row]
        current.append(row)
        longest = longest_then
    return [*batches, current] if current else batches


def plan_evaluation(lengths: Sequence[int], *, batch_tokens: int = 16_384, batch_size: int = 256) -> list[list[int]]:
    """Batches of rows sorted by length, for reading every row once."""
    return pack(sorted(range(len(lengths)), key=lambda row: lengths[row]), lengths, batch_tokens=batch_tokens, batch_size=batch_size)


def collate(rows: Sequence[Sequence[int]], pad_id: int, types: Sequence[Sequence[int]] | None = None) -> tuple[Tensor, ...]:
    """Token ids and mask, and token types where they are given: (batch, length) int64 each, padded on the right to the longest row."""
    return tuple(torch.from_numpy(array) for array in pad(rows, pad_id, types).values())
