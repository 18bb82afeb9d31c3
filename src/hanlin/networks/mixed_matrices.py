"""The layers of one base to which adapters add: each gets a `MixedLinear` in its place when the first adapter has matrices for it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.networks.lora import is_transposed
from hanlin.networks.mixed_layers import BatchPlaces, MixedLinear, layer_sizes
from hanlin.types import shorten

Matrices = dict[str, tuple[Tensor, Tensor]]  # A (rank, in) and B (out, rank) by the name of their layer


class MixedMatrices:
    """The low-rank matrices of all adapters in a network. For one thread at a time; another one may compute meanwhile.

    Args:
        root: whose layers are replaced.
        batch: where the layers read whose each row is.
    """

    def __init__(self, root: nn.Module, batch: BatchPlaces, dtype: torch.dtype) -> None:
        self._root, self._batch, self._dtype = root, batch, dtype
        self._layers: dict[str, MixedLinear] = {}
        self._num_places = 0

    def check(self, matrices: Matrices) -> None:
        """Make ready for them. Raises InvalidInput (`weights_do_not_fit`); others are not touched."""
        for name, pair in matrices.items():
            self._layer(name, *pair)

    def put(self, place: int, matrices: Matrices, scaling: float) -> None:
        """Put in what was checked, at a place that nobody reads; layers without get zeros there."""
        self._num_places = max(self._num_places, place + 1)
        for layer in self._layers.values():
            layer.cover(self._num_places)
            layer.clear(place)
        for name, (down, up) in matrices.items():
            self._layers[name].put(place, down.to(self._dtype), (up.T * scaling).to(self._dtype))

    def _layer(self, name: str, down: Tensor, up: Tensor) -> None:
        found = self._layers.get(name)
        layer = self._find(name) if found is None else found.base
        shapes = (down.shape[1], up.shape[0], down.shape[0]) if down.dim() == up.dim() == 2 else ()
        if shapes != (*layer_sizes(layer), up.shape[-1]) or not bool(down.isfinite().all() and up.isfinite().all()):
            raise InvalidInput("weights_do_not_fit", names=shorten(name))
        if found is None:
            found = MixedLinear(layer, self._batch)
            found.cover(self._num_places)
            parent, _, last = name.rpartition(".")
            setattr(self._root.get_submodule(parent), last, found)
            self._layers[name] = found

    def _find(self, name: str) -> nn.Module:
        try:
            layer = self._root.get_submodule(name)
        except AttributeError:
            layer = None
        if not (isinstance(layer, nn.Linear) or (layer is not None and is_transposed(layer))):
            raise InvalidInput("weights_do_not_fit", names=shorten(name))
        return layer


def matrices_of(tensors: Mapping[str, Tensor], prefix: str = "") -> Matrices:
    """A and B of an adapter by the name of their layer. Raises InvalidInput (`weights_do_not_fit`).

    Args:
        prefix: first part of the names that the base itself has not.
    """
    found: Matrices = {}
    for name, tensor in tensors.items():
        layer, mark, _ = name.partition(".lora_A.")
        if mark:
            if (other := tensors.get(f"{layer}.lora_B.weight")) is None:
                raise InvalidInput("weights_do_not_fit", names=shorten(f"{layer}.lora_B"))
            found[layer.removeprefix(f"{prefix}.") if prefix else layer] = (tensor, other)
    return found
