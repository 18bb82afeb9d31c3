"""RNN, LSTM and GRU as their equations stand in books: one direction, a step at a time.

Weights have the names and shapes of torch's layers, so that either form loads what the other saved; torch's fused ones train and serve
(about ten times faster), these are for reading, and `tests/networks` holds the two equal. Knows no text and no mask.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]  # (batch, hidden_size) each: what a step hands to the next, its output first


class Recurrence(nn.Module, ABC):
    """What the three share: one matrix reads the input, one the state, each with a bias.

    Args:
        num_gates: blocks of `hidden_size` rows in either matrix.
    """

    num_gates = 1
    num_states = 1

    def __init__(self, input_size: int, hidden_size: int, *, batch_first: bool = True) -> None:
        super().__init__()
        assert batch_first, "the only order we read"
        self.hidden_size = hidden_size
        rows = self.num_gates * hidden_size
        self.weight_ih_l0 = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh_l0 = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih_l0 = nn.Parameter(torch.empty(rows))
        self.bias_hh_l0 = nn.Parameter(torch.empty(rows))
        for weight in self.parameters():
            nn.init.uniform_(weight, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))

    def forward(self, inputs: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """(batch, length, input_size) → (batch, length, hidden_size), and the last state.

        Args:
            state: what it goes on from; zeros where None.
            lengths: (batch,) int64: a row's state stays as it is behind its end.
        """
        state = state or (inputs.new_zeros(inputs.shape[0], self.hidden_size),) * self.num_states
        outputs = []
        for place, x in enumerate(inputs.unbind(1)):  # (batch, input_size)
            after = self.step(x, state)
            if lengths is not None:
                is_open = (place < lengths)[:, None]
                after = tuple(torch.where(is_open, new, old) for new, old in zip(after, state, strict=True))
            state = after
            outputs.append(state[0])
        return torch.stack(outputs, 1), state

    @abstractmethod
    def step(self, x: Tensor, state: State) -> State:
        """The state after reading `x` (batch, input_size)."""

    def _read(self, x: Tensor, hidden: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """What the input and what the state say to each gate, (batch, hidden_size) each."""
        from_x = x @ self.weight_ih_l0.T + self.bias_ih_l0
        from_h = hidden @ self.weight_hh_l0.T + self.bias_hh_l0
        return from_x.chunk(self.num_gates, 1), from_h.chunk(self.num_gates, 1)


class PlainRecurrence(Recurrence):
    """h' = tanh(W x + b + U h + c). Source: Elman, Finding Structure in Time (1990)."""

    def step(self, x: Tensor, state: State) -> State:
        """See `Recurrence.step`."""
        (from_x,), (from_h,) = self._read(x, state[0])
        return ((from_x + from_h).tanh(),)


class LongShortTermMemory(Recurrence):
    """c' = f c + i g, h' = o tanh(c'). Source: Hochreiter and Schmidhuber (1997); the forget gate: Gers et al. (2000)."""

    num_gates, num_states = 4, 2

    def step(self, x: Tensor, state: State) -> State:
        """See `Recurrence.step`."""
        hidden, cell = state
        write, forget, content, show = (a + b for a, b in zip(*self._read(x, hidden), strict=True))
        cell = forget.sigmoid() * cell + write.sigmoid() * content.tanh()
        return show.sigmoid() * cell.tanh(), cell


class GatedRecurrence(Recurrence):
    """h' = (1 - z) n + z h, n = tanh(W x + b + r (U h + c)). Source: Cho et al. (2014); the reset gate after U h, as cuDNN has it."""

    num_gates = 3

    def step(self, x: Tensor, state: State) -> State:
        """See `Recurrence.step`."""
        (reset_x, update_x, new_x), (reset_h, update_h, new_h) = self._read(x, state[0])
        update = (update_x + update_h).sigmoid()
        new = (new_x + (reset_x + reset_h).sigmoid() * new_h).tanh()
        return ((1 - update) * new + update * state[0],)
