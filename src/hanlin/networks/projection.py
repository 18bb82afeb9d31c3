"""Dense layers behind pooling: some embedding models narrow, widen or bend their vectors there. Kept in `projection.safetensors`.

Source: sentence-transformers, module Dense.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hanlin.errors import InvalidInput
from hanlin.networks.head import Bend

PROJECTION_FILE = "projection.safetensors"
_BENDS = {"identity": lambda values: values, "tanh": torch.tanh, "relu": torch.relu, "gelu": nn.functional.gelu}


class Projection(nn.Module):
    """Linear layers in a row, each with its activation.

    Args:
        sizes: of the vectors, before the first layer and behind each.
        bends: the activation of each layer.
        biases: whether each layer has one.
    """

    def __init__(self, sizes: list[int], bends: tuple[Bend, ...], biases: list[bool]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(before, after, bias=has_bias) for before, after, has_bias in zip(sizes[:-1], sizes[1:], biases, strict=True)
        )
        self.bends = bends
        self.input_size, self.size = sizes[0], sizes[-1]

    def forward(self, vectors: Tensor) -> Tensor:
        """(batch, first size) → (batch, last size)."""
        for layer, bend in zip(self.layers, self.bends, strict=True):
            vectors = _BENDS[bend](layer(vectors))
        return vectors


def read_projection(folder: Path, bends: tuple[Bend, ...]) -> Projection:
    """The layers in `folder`'s file. Raises InvalidInput (`weights_do_not_fit`)."""
    try:
        state = load_file(folder / PROJECTION_FILE)
    except (OSError, SafetensorError) as error:
        raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names=PROJECTION_FILE) from error
    return projection_of(state, bends)


def projection_of(state: dict[str, Tensor], bends: tuple[Bend, ...]) -> Projection:
    """Layers with the weights `layers.0.weight`, `layers.0.bias`, …. Raises InvalidInput (`weights_do_not_fit`)."""
    weights = [state.get(f"layers.{number}.weight") for number in range(len(bends))]
    shapes = [tuple(weight.shape) if weight is not None and weight.ndim == 2 else (0, 0) for weight in weights]
    sizes = [shapes[0][1], *(shape[0] for shape in shapes)]
    try:
        found = Projection(sizes, bends, [f"layers.{number}.bias" in state for number in range(len(bends))])
        found.load_state_dict({name: values.float() for name, values in state.items()})
    except RuntimeError as error:
        raise InvalidInput("weights_do_not_fit", details=str(error)[:500], names=PROJECTION_FILE) from error
    return found.eval()


def save_projection(projection: Projection, folder: Path) -> None:
    """Write `projection.safetensors`; the activations belong into the head."""
    state = {name: values.contiguous() for name, values in projection.state_dict().items()}
    save_file(state, folder / PROJECTION_FILE, metadata={"format": "pt"})
