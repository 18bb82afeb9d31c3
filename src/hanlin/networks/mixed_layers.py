"""Layers that answer each row with the low-rank matrices, or the head, of its own adapter."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.networks.lora import is_transposed

_FIRST_PLACES = 8


@dataclass(frozen=True, slots=True)
class Rows:
    """Whose each row of a batch is.

    Attributes:
        index: place of each row (rows,) int64; None where all are of one, at `only`.
        is_adapted: whether any of them has low-rank matrices; others have a head alone.
        kept: what each layer gathered for them, where the same rows are stepped many times over: else a token's step would copy the
            matrices of all its rows. None: nothing is kept.
    """

    index: Tensor | None
    only: int
    is_adapted: bool
    kept: dict[int, tuple[Tensor, Tensor]] | None = None


class BatchPlaces(threading.local):
    """What this thread is computing, for the layers to read: an adapter that comes is warmed up while others are answered."""

    def __init__(self) -> None:
        self.rows = Rows(None, 0, is_adapted=False)


class MixedLinear(nn.Module):
    """A linear layer of the base with the low-rank additions of all adapters that have one here."""

    def __init__(self, base: nn.Module, batch: BatchPlaces) -> None:
        super().__init__()
        self.base = base
        self._batch = batch
        self.sizes = layer_sizes(base)
        weight = cast("Tensor", base.weight)
        # (places, rank, in) and (places, rank, out), the second times the scale
        self.stacks = (weight.new_zeros(0, 0, self.sizes[0]), weight.new_zeros(0, 0, self.sizes[1]))

    @property
    def weight(self) -> Tensor:
        """The base's, for networks that look what type it has (T5)."""
        return cast("Tensor", self.base.weight)

    def forward(self, hidden: Tensor) -> Tensor:
        """(rows, length, in) → (rows, length, out)."""
        found: Tensor = self.base(hidden)
        rows = self._batch.rows
        if not rows.is_adapted:
            return found
        down, up = self.stacks
        if rows.index is None:
            if rows.only >= len(down):
                return found
            narrow = functional.linear(hidden, down[rows.only])  # (rows, length, rank)
            return torch.addmm(found.flatten(0, -2), narrow.flatten(0, -2), up[rows.only]).view_as(found)
        down, up = self._gathered(rows, rows.index, (down, up))
        wide = hidden if hidden.dim() == 3 else hidden[:, None]  # a pooler sees one token a row
        narrow = torch.bmm(wide, down.transpose(1, 2))  # (rows, length, rank)
        return torch.baddbmm(found.view(*wide.shape[:2], -1), narrow, up).view_as(found)

    def _gathered(self, rows: Rows, index: Tensor, stacks: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Matrices (rows, rank, in) and (rows, rank, out), each row's own, of stacks that were read together: others may come meanwhile."""
        found = None if rows.kept is None else rows.kept.get(id(self))
        if found is None:
            found = (stacks[0][index], stacks[1][index])
            if rows.kept is not None:
                rows.kept[id(self)] = found
        return found

    def put(self, place: int, down: Tensor, up: Tensor) -> None:
        """Matrices (rank, in) and (rank, out) at a place that nobody reads."""
        before = self.stacks
        rank, places = max(len(down), before[0].shape[1]), _room(place, len(before[0]))
        if (places, rank) != tuple(before[0].shape[:2]):
            grown = tuple(stack.new_zeros(places, rank, stack.shape[2]) for stack in before)
            for old, new in zip(before, grown, strict=True):
                new[: old.shape[0], : old.shape[1]] = old
            before = (grown[0], grown[1])
        for stack, matrix in zip(before, (down, up), strict=True):
            stack[place] = 0
            stack[place, : len(matrix)] = matrix
        self.stacks = before

    def clear(self, place: int) -> None:
        """Zeros at a place that nobody reads."""
        for stack in self.stacks:
            if place < len(stack):
                stack[place] = 0

    def cover(self, places: int) -> None:
        """Have so many places at least: a batch may name any of them."""
        if len(self.stacks[0]) < places:
            self.put(places - 1, self.stacks[0].new_zeros(0, self.sizes[0]), self.stacks[1].new_zeros(0, self.sizes[1]))


class MixedHead(nn.Module):
    """A layer behind the encoder, of which every adapter has its own: linear, or the factors of a norm."""

    def __init__(self, layer: nn.Linear | nn.LayerNorm, batch: BatchPlaces) -> None:
        super().__init__()
        self._batch = batch
        self.is_norm = isinstance(layer, nn.LayerNorm)
        self._eps, self._shape = (layer.eps, layer.normalized_shape) if isinstance(layer, nn.LayerNorm) else (0.0, ())
        self.width = 1 if self.is_norm else layer.weight.shape[1]  # columns
        self.stacks = (torch.zeros(0, 0, self.width), torch.zeros(0, 0))  # (places, out, in) and (places, out)

    def forward(self, hidden: Tensor) -> Tensor:
        """(rows, …, in) → (rows, …, out), the widest of all adapters."""
        rows, (weight, bias) = self._batch.rows, self.stacks
        if self.is_norm:
            plain = functional.layer_norm(hidden, self._shape, eps=self._eps)
            index = slice(rows.only, rows.only + 1) if rows.index is None else rows.index
            shape = (-1, *[1] * (hidden.dim() - 2), bias.shape[1])
            return plain * weight[index].reshape(shape) + bias[index].reshape(shape)
        if rows.index is None:
            return functional.linear(hidden, weight[rows.only], bias[rows.only])
        wide = hidden if hidden.dim() == 3 else hidden[:, None]
        found = torch.baddbmm(bias[rows.index][:, None], wide, weight[rows.index].transpose(1, 2))
        return found if hidden.dim() == 3 else found[:, 0]

    def put(self, place: int, weight: Tensor, bias: Tensor | None) -> None:
        """An adapter's own at a place that nobody reads: (out, in), or (out,) of a norm, and (out,)."""
        weight = weight[:, None] if self.is_norm else weight
        old_weight, old_bias = self.stacks
        size, places = max(len(weight), old_weight.shape[1]), _room(place, len(old_weight))
        if (places, size) != tuple(old_bias.shape):
            grown = (weight.new_zeros(places, size, self.width), weight.new_zeros(places, size))
            grown[0][: old_weight.shape[0], : old_weight.shape[1]] = old_weight
            grown[1][: old_bias.shape[0], : old_bias.shape[1]] = old_bias
            old_weight, old_bias = grown
        old_weight[place], old_bias[place] = 0, 0
        old_weight[place, : len(weight)] = weight
        if bias is not None:
            old_bias[place, : len(bias)] = bias
        self.stacks = (old_weight, old_bias)


def layer_sizes(layer: nn.Module) -> tuple[int, int]:
    """Numbers that go in and come out of a linear layer: `nn.Linear`, or transformers' `Conv1D`, whose matrix is (in, out)."""
    rows, columns = cast("Tensor", layer.weight).shape
    return (rows, columns) if is_transposed(layer) else (columns, rows)


def _room(place: int, places: int) -> int:
    """Places that a stack has when `place` must be one: doubled when there are too few."""
    while place >= places:
        places = max(_FIRST_PLACES, 2 * places)
    return places
