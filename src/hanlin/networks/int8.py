"""Linear layers in 8-bit integers, activations too: a quarter of the weights to read at each token, which is what writing waits for.

Activations are scaled row by row, so a row's numbers ignore what it shares a batch with, to the bit: sums of integers have no rounding.

Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference (2018); a scale for
each row and each output as in Dettmers et al., LLM.int8() (2022), without their outliers apart.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_MOST = 127
_TINY = 1e-12  # rows of zeros stay zeros


class Int8Linear(nn.Module):
    """What a linear layer does, with weights of 8 bits and a scale for each output."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.bias = None if linear.bias is None else linear.bias.detach().float()
        self.weight, scales = _whole(linear.weight.detach().float())  # (outputs, inputs) int8
        self._scales = scales[:, 0]

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden (…, inputs) → (…, outputs), float32 both."""
        rows, scales = _whole(hidden.reshape(-1, hidden.shape[-1]).float())
        out = torch._int_mm(rows, self.weight.T).float() * scales * self._scales
        return (out if self.bias is None else out + self.bias).view(*hidden.shape[:-1], -1)


def to_int8(module: nn.Module) -> nn.Module:
    """The same network with its linear layers in 8 bits; tables of tokens and norms stay as they are. It cannot learn any more."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, Int8Linear(child))
    return module


def _whole(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (rows, size) as int8 and what to multiply each with again, (rows, 1)."""
    scales = rows.abs().amax(1, keepdim=True).clamp(min=_TINY) / _MOST
    return (rows / scales).round().to(torch.int8), scales
