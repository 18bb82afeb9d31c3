"""Keras's recurrences in a form that becomes one operator of a graph each; Keras itself writes every step of a row out.

Only equations change, and only while a model is exported: what comes out is held against Keras's own answers. A masked step is
one that does not happen: unmasked ones move together, run, and each place looks up the last step that happened before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Values = npt.NDArray[np.float32]


@contextmanager
def fused() -> Iterator[None]:
    """Inside, LSTM and GRU layers run the fused kernels of torch, masks and all."""
    from keras.src import backend

    before = {name: getattr(backend, name) for name in ("lstm", "gru", "bidirectional_lstm", "bidirectional_gru")}
    backend.lstm, backend.gru = _lstm, _gru
    backend.bidirectional_lstm = backend.bidirectional_gru = _unsupported
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(backend, name, function)


def _no_kernel(layer: str) -> NotImplementedError:
    """The sign by which Keras asks a backend for its fused kernel: it catches it and runs the steps one by one, to the same numbers."""
    return NotImplementedError(f"torch has no fused kernel for {layer}")


def _unsupported(*_arguments: Any, **_options: Any) -> Any:
    raise _no_kernel("layers in both directions")


def _lstm(
    inputs: Any, state_h: Any, state_c: Any, mask: Any, *, kernel: Any, recurrent_kernel: Any, bias: Any, activation: Any,
    recurrent_activation: Any, return_sequences: bool = False, go_backwards: bool = False, unroll: bool = False,
) -> Any:  # fmt: skip
    units = _units(recurrent_kernel, activation, recurrent_activation)
    zeros = np.zeros(4 * units, np.float32)
    weights = _weights((kernel, recurrent_kernel), (zeros if bias is None else _values(bias), zeros), np.arange(4 * units))

    def run(values: Any) -> Any:  # Keras and torch both say i, f, c, o
        start = values.new_zeros(1, values.shape[0], units)
        return torch.lstm(values, (start, start), weights, True, 1, 0.0, False, False, True)[0]

    outputs, last = _steps(run, inputs, mask, go_backwards=go_backwards)
    return last, outputs if return_sequences else last[:, None], [last, last]


def _gru(
    inputs: Any, state: Any, mask: Any, *, kernel: Any, recurrent_kernel: Any, bias: Any, activation: Any, recurrent_activation: Any,
    return_sequences: bool = False, go_backwards: bool = False, unroll: bool = False, reset_after: bool = True,
) -> Any:  # fmt: skip
    if not reset_after:
        raise _no_kernel("a GRU that resets before its product")
    units = _units(recurrent_kernel, activation, recurrent_activation)
    # Keras says z, r, h, torch r, z, n; both keep z of the old state.
    order = np.concatenate([np.arange(units, 2 * units), np.arange(units), np.arange(2 * units, 3 * units)])
    biases = np.zeros((2, 3 * units), np.float32) if bias is None else _values(bias)
    weights = _weights((kernel, recurrent_kernel), (biases[0], biases[1]), order)

    def run(values: Any) -> Any:
        start = values.new_zeros(1, values.shape[0], units)
        return torch.gru(values, start, weights, True, 1, 0.0, False, False, True)[0]

    outputs, last = _steps(run, inputs, mask, go_backwards=go_backwards)
    return last, outputs if return_sequences else last[:, None], [last]


def _units(recurrent_kernel: Any, activation: Any, recurrent_activation: Any) -> int:
    from keras.src import activations

    if activation is not activations.tanh or recurrent_activation is not activations.sigmoid:
        raise _no_kernel("other activations than tanh and sigmoid")
    return int(recurrent_kernel.shape[0])


def _weights(kernels: tuple[Any, Any], biases: tuple[Values, Values], order: npt.NDArray[np.int64]) -> list[Any]:
    """Of input and state as torch wants them, their gates in its order; constants, so that no graph holds how they were made."""
    rows = [np.ascontiguousarray(_values(kernel).T[order]) for kernel in kernels]
    return [torch.from_numpy(item) for item in (*rows, *(np.ascontiguousarray(bias[order]) for bias in biases))]


def _steps(run: Any, inputs: Any, mask: Any, *, go_backwards: bool) -> tuple[Any, Any]:
    """(outputs of all places (batch, time, units), the last). The initial state is zeros, as it is in classifiers."""
    values = _tensor(inputs).float()
    kept = None if mask is None else _tensor(mask).to(torch.int64)
    if go_backwards:
        values, kept = torch.flip(values, [1]), None if kept is None else torch.flip(kept, [1])
    if kept is None:
        outputs = run(values)
        return outputs, outputs[:, -1]
    batch, time, size = values.shape
    happened = torch.cumsum(kept, 1)  # steps that have happened at each place
    column = torch.where(kept > 0, happened - 1, torch.full_like(happened, time))
    moved = torch.zeros(batch, time + 1, size).scatter(1, column[:, :, None].expand(batch, time, size), values)[:, :time]
    outputs = run(moved)
    place = (happened - 1).clamp(min=0)[:, :, None].expand(batch, time, outputs.shape[2])
    found = torch.gather(outputs, 1, place) * (happened > 0)[:, :, None].to(outputs.dtype)
    return found, found[:, -1]


def _tensor(value: Any) -> Any:
    from keras.src import ops

    return ops.convert_to_tensor(value)


def _values(variable: Any) -> Values:
    return np.asarray(variable.value.detach().numpy(), dtype=np.float32)
