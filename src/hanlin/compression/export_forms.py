"""Networks in the form that engines run fastest: the same numbers by other operators. Only the exporter uses them.

- A recurrent layer of both directions becomes one ONNX operator that is given the rows' lengths (ONNX Runtime), or is reversed by
  ReverseSequence (OpenVINO, which falls back to a slow loop when it is given lengths); gathers by index took a third of a step.
- The hashed runs of tokens of all tables are found together (`export_runs.py`): 15 operators instead of 50.
- A variant that runs one row at a time (ONNX Runtime's int8) has no operators about padding.
- A BERT-like classifier, and an embedding of the first token, read that one only, so their last layer computes nothing else: of six
  layers this saves a seventh.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn

from hanlin.compression.export_runs import RunsForm, WideForm
from hanlin.networks.heads import PretrainedClassifier, PretrainedEmbedder, WithTokens
from hanlin.networks.loading import Reader
from hanlin.networks.pooling import gather_rows, reverse_index
from hanlin.networks.recurrent import RecurrentEncoder

Flavour = Literal["onnxruntime", "onnxruntime-one-row", "openvino"]
_OPERATORS = {nn.LSTM: "LSTM", nn.GRU: "GRU", nn.RNN: "RNN"}
# Where ONNX's gates stand in torch's weights. LSTM: input, output, forget, cell of (i, f, c, o). GRU: update, reset, new of (r, z, n).
_GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}
_FAMILIES = ("Bert", "Roberta", "XLMRoberta", "Electra", "Camembert")
_FIRST_TOKEN_HEADS = frozenset(f"{name}ForSequenceClassification" for name in _FAMILIES)
_FIRST_TOKEN_ENCODERS = frozenset(f"{name}Model" for name in _FAMILIES)


def for_export(module: nn.Module, flavour: Flavour, *inputs: Tensor) -> nn.Module:
    """`module` changed into its fastest form for `flavour`, where one is known that gives the same answers for `inputs`."""
    if isinstance(module, Reader) and isinstance(module.encoder, RecurrentEncoder) and len(module.encoder.backwards):
        module.encoder = cast("RecurrentEncoder", RecurrentForm(module.encoder, flavour))
    if isinstance(module, Reader) and module.config.ngram_sizes:
        # Only recurrences have a graph for each engine: all others share one, which must be right for both.
        has_own = isinstance(module.encoder, RecurrentForm)
        return RunsForm(module, has_remainder=has_own and flavour != "openvino", is_one_row=has_own and flavour == "onnxruntime-one-row")
    if _reads_first_token_only(module):
        encoder = getattr(getattr(module.model, "base_model", None), "encoder", None)
        layers = getattr(encoder, "layer", None)
        if isinstance(layers, nn.ModuleList) and not getattr(layers[-1], "is_decoder", True):
            _shorten_last(module, layers, *inputs)
    if isinstance(module, PretrainedClassifier) and module.wide is not None and max(module.wide.sizes) > 1:
        return WideForm(module, module.wide)
    return WithTokens(module) if isinstance(module, PretrainedEmbedder) and module.has_tokens and not _is_shortened(module) else module


def has_tokens(module: nn.Module) -> bool:
    """Whether what `for_export` made gives the vectors of tokens too."""
    return isinstance(module, WithTokens)


def _is_shortened(module: nn.Module) -> bool:
    return any(isinstance(part, FirstTokenLayer) for part in module.modules())


def _reads_first_token_only(module: nn.Module) -> bool:
    if isinstance(module, PretrainedEmbedder):
        return module.head.pooling == "cls" and type(module.model).__name__ in _FIRST_TOKEN_ENCODERS
    return isinstance(module, PretrainedClassifier) and type(module.model).__name__ in _FIRST_TOKEN_HEADS


def _shorten_last(module: nn.Module, layers: nn.ModuleList, *inputs: Tensor) -> None:
    whole = layers[-1]
    with torch.inference_mode():
        expected = module(*inputs)
        layers[-1] = FirstTokenLayer(whole)
        if not torch.allclose(module(*inputs), expected, atol=1e-4, rtol=1e-4):
            layers[-1] = whole


class FirstTokenLayer(nn.Module):
    """A BERT-like layer that answers for the first token only: (batch, length, size) → (batch, 1, size)."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, *_: object, **__: object) -> Tensor:
        """Queries of the first token, keys and values of all. attention_mask: additive, (batch, 1, any, length)."""
        attention = cast("nn.Module", self.layer.attention)
        own = cast("nn.Module", attention.self)
        query, key, value = (cast("nn.Module", getattr(own, name)) for name in ("query", "key", "value"))
        first = hidden_states[:, :1]
        scores = self._heads(query(first)) @ self._heads(key(hidden_states)).transpose(2, 3)  # (batch, heads, 1, length)
        scores = scores * cast("float", own.scaling)
        if attention_mask is not None:
            scores = scores + attention_mask[:, :, :1]
        context = scores.softmax(-1) @ self._heads(value(hidden_states))  # (batch, heads, 1, head size)
        context = context.transpose(1, 2).reshape(first.shape)
        attended = cast("nn.Module", attention.output)(context, first)
        chunk = cast("nn.Module", self.layer.feed_forward_chunk)
        return cast("Tensor", chunk(attended))

    def _heads(self, vectors: Tensor) -> Tensor:
        """(batch, length, size) → (batch, heads, length, head size)."""
        own = cast("nn.Module", cast("nn.Module", self.layer.attention).self)
        size = cast("int", own.attention_head_size)
        return vectors.view(vectors.shape[0], vectors.shape[1], -1, size).transpose(1, 2)


class RecurrentForm(nn.Module):
    """A two-way recurrent encoder by ONNX operators that know the rows' lengths. Not for training."""

    def __init__(self, encoder: RecurrentEncoder, flavour: Flavour) -> None:
        super().__init__()
        self.encoder, self.flavour, self.output_size = encoder, flavour, encoder.output_size

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(batch, length, embedding_size), (batch, length) → (batch, length, output_size); padding positions hold anything."""
        lengths = mask.sum(1).to(torch.int64 if self.flavour == "openvino" else torch.int32)
        for forward, backward in zip(self.encoder.forwards, self.encoder.backwards, strict=True):
            assert isinstance(forward, nn.RNNBase)
            assert isinstance(backward, nn.RNNBase)
            if self.flavour != "openvino":
                known = None if self.flavour == "onnxruntime-one-row" else lengths
                vectors = _BothWays.apply(vectors, known, _OPERATORS[type(forward)], *_onnx_weights(forward, backward))  # type: ignore[no-untyped-call]
            else:
                reverse = _reversed(backward(_reversed(vectors, lengths))[0], lengths)
                vectors = torch.cat([forward(vectors)[0], reverse], dim=2)
        return vectors


class _Reversed(torch.autograd.Function):
    """Each row's real tokens from last to first; padding stays."""

    @staticmethod
    def forward(_: object, vectors: Tensor, lengths: Tensor) -> Tensor:
        return gather_rows(vectors, reverse_index(_mask_of(vectors, lengths)))

    @staticmethod
    def symbolic(g: object, vectors: object, lengths: object) -> object:
        """Source: ONNX operator ReverseSequence, version 10."""
        return g.op("ReverseSequence", vectors, lengths, batch_axis_i=0, time_axis_i=1).setType(vectors.type())  # type: ignore[attr-defined]


def _reversed(vectors: Tensor, lengths: Tensor) -> Tensor:
    return cast("Tensor", _Reversed.apply(vectors, lengths))  # type: ignore[no-untyped-call]


class _BothWays(torch.autograd.Function):
    """One recurrent layer in both directions over rows of known lengths, (batch, length, size) → (batch, length, 2 * hidden).

    Lengths of None: all rows are whole. Exists as an ONNX operator only: in torch it has the right shape and no values.
    """

    @staticmethod
    def forward(  # noqa: PLR0917  # autograd functions take positions
        _: object, vectors: Tensor, lengths: Tensor | None, operator: str, weights: Tensor, recurrence: Tensor, bias: Tensor
    ) -> Tensor:
        return vectors.new_zeros(vectors.shape[0], vectors.shape[1], 2 * recurrence.shape[2])

    @staticmethod
    def symbolic(g, vectors, lengths, operator, weights, recurrence, bias):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205, PLR0917
        """Source: ONNX operators LSTM, GRU and RNN, version 14: X (length, batch, size) → Y (length, directions, batch, hidden)."""
        more = {"linear_before_reset_i": 1} if operator == "GRU" else {}
        hidden = recurrence.type().sizes()[2]
        rows = g.op("Transpose", vectors, perm_i=[1, 0, 2])
        known = [] if lengths is None else [lengths]
        found = g.op(
            operator, rows, weights, recurrence, bias, *known, hidden_size_i=hidden, direction_s="bidirectional", outputs=1, **more
        )
        found = g.op("Transpose", found, perm_i=[2, 0, 1, 3])  # (batch, length, directions, hidden)
        shape = g.op("Constant", value_t=torch.tensor([0, 0, -1]))
        kind = vectors.type().with_sizes([None, None, 2 * hidden])
        return g.op("Reshape", found, shape).setType(kind)


def _mask_of(vectors: Tensor, lengths: Tensor) -> Tensor:
    return (torch.arange(vectors.shape[1])[None, :] < lengths[:, None]).long()


def _onnx_weights(forward: nn.RNNBase, backward: nn.RNNBase) -> tuple[Tensor, Tensor, Tensor]:
    """W (2, gates * hidden, input), R (2, gates * hidden, hidden), B (2, 2 * gates * hidden)."""
    both: list[list[Tensor]] = []
    for layer in (forward, backward):
        order = _GATES[_OPERATORS[type(layer)]]
        parts = [cast("Tensor", getattr(layer, name)).detach() for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")]
        w, r, b_in, b_hidden = (_reordered(part, order) for part in parts)
        both.append([w, r, torch.cat([b_in, b_hidden])])
    w, r, b = (torch.stack(pair) for pair in zip(*both, strict=True))
    return w, r, b


def _reordered(values: Tensor, order: tuple[int, ...]) -> Tensor:
    gates = values.chunk(len(order))
    return torch.cat([gates[gate] for gate in order])
