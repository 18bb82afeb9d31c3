"""RNN, LSTM and GRU encoders whose answers do not depend on padding.

The backward direction is a forward layer over each row's own reversed tokens (a gather by the mask): the answer of a row is then exactly
free of its neighbours' lengths, and the graph exports as plain layers. torch's layers do the recurrence, because its fused kernel is
about ten times faster than a loop in Python; `recurrence` has the same in equations, on the same weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hanlin.networks.config import NetworkConfig
from hanlin.networks.dropout import Dropout
from hanlin.networks.pooling import gather_rows, reverse_index
from hanlin.networks.recurrence import GatedRecurrence, LongShortTermMemory, PlainRecurrence, Recurrence

Layer = type[nn.RNN | nn.LSTM | nn.GRU | Recurrence]
LAYERS: dict[str, Layer] = {"hanlin-rnn": nn.RNN, "hanlin-lstm": nn.LSTM, "hanlin-gru": nn.GRU}
READABLE: dict[str, Layer] = {"hanlin-rnn": PlainRecurrence, "hanlin-lstm": LongShortTermMemory, "hanlin-gru": GatedRecurrence}


class RecurrentEncoder(nn.Module):
    """Layers of one or two directions; each layer reads both directions of the layer below.

    Args:
        is_readable: made of the equations instead of the fused kernels; the weights' names are the same.
    """

    def __init__(self, config: NetworkConfig, *, is_readable: bool = False) -> None:
        super().__init__()
        kind = (READABLE if is_readable else LAYERS)[config.model_type]
        width = config.hidden_size * (2 if config.bidirectional else 1)
        inputs = [config.embedding_size] + [width] * (config.num_hidden_layers - 1)
        self.forwards = nn.ModuleList(kind(size, config.hidden_size, batch_first=True) for size in inputs)
        backwards = inputs if config.bidirectional else []
        self.backwards = nn.ModuleList(kind(size, config.hidden_size, batch_first=True) for size in backwards)
        self.dropout = Dropout(config.dropout)
        self.output_size = width
        for layer in (*self.forwards, *self.backwards):
            initialize(layer)

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """(batch, length, embedding_size), (batch, length) → (batch, length, output_size)."""
        index = reverse_index(mask)
        for number, layer in enumerate(self.forwards):
            if number:
                vectors = self.dropout(vectors)
            hidden = layer(vectors)[0]
            if len(self.backwards):
                reverse = self.backwards[number](gather_rows(vectors, index))[0]
                hidden = torch.cat([hidden, gather_rows(reverse, index)], dim=2)
            vectors = hidden
        return vectors


def initialize(layer: nn.Module) -> None:
    """Orthogonal recurrences keep gradients in range; an LSTM's forget gate starts open (Jozefowicz et al., 2015)."""
    for name, weight in layer.named_parameters():
        if name.startswith("weight_hh"):
            for gate in weight.data.chunk(weight.shape[0] // weight.shape[1]):
                nn.init.orthogonal_(gate)
        elif name.startswith("weight_ih"):
            nn.init.xavier_uniform_(weight)
        else:
            nn.init.zeros_(weight)
            if isinstance(layer, nn.LSTM | LongShortTermMemory) and name.startswith("bias_ih"):
                size = layer.hidden_size
                weight.data[size : 2 * size] = 1.0
