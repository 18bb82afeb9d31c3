"""RNN, LSTM and GRU language models: what a network has read is a state of fixed size, whatever the length of the text.

Source: Mikolov et al., Recurrent neural network based language model (2010); dropout between layers alone: Zaremba et al. (2014); one table
of token vectors for what is read and what is said: Press and Wolf (2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from hanlin.networks.config import NetworkConfig
from hanlin.networks.dropout import Dropout
from hanlin.networks.recurrence import Recurrence, State
from hanlin.networks.recurrent import LAYERS, READABLE, initialize


@dataclass(slots=True)
class RecurrentState:
    """What the layers remember between steps.

    Attributes:
        layers: of each layer its output and, of an LSTM, its cell, (rows, size) each; none before the first token.
    """

    layers: list[State]

    def pick(self, index: Tensor) -> RecurrentState:
        """The rows of `index`, in its order; a row may come more than once."""
        return RecurrentState([tuple(part[index] for part in layer) for layer in self.layers])

    def join(self, other: RecurrentState) -> RecurrentState:
        """The rows of both, those of `other` behind ours."""
        pairs = zip(self.layers, other.layers, strict=True)
        return RecurrentState([tuple(map(torch.cat, zip(mine, theirs, strict=True))) for mine, theirs in pairs])


class RecurrentDecoder(nn.Module):
    """A language model: scores of the next token from those before it.

    Args:
        is_readable: made of the equations instead of the fused kernels; the weights' names are the same.
    """

    def __init__(self, config: NetworkConfig, *, is_readable: bool = False) -> None:
        super().__init__()
        self.config = config
        kind = (READABLE if is_readable else LAYERS)[config.model_type.removesuffix("-decoder")]
        size = config.hidden_size
        self.scale = math.sqrt(size)  # of token vectors: as large as gates want them, while the scores of tied ones stay small
        self.tokens = nn.Embedding(config.vocab_size, size)
        nn.init.normal_(self.tokens.weight, std=size**-0.5)
        self.layers = nn.ModuleList(kind(size, size, batch_first=True) for _ in range(config.num_hidden_layers))
        for layer in self.layers:
            initialize(layer)
        self.embedding_dropout, self.dropout = Dropout(config.embedding_dropout), Dropout(config.dropout)
        self.output = nn.Linear(size, config.vocab_size)
        nn.init.zeros_(self.output.bias)
        if config.tie_word_embeddings:
            self.output.weight = self.tokens.weight

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length) int64 both, padding on the right → (batch, length, vocabulary): after each token, what comes next."""
        return self.read(input_ids, RecurrentState([]))

    def read(self, input_ids: Tensor, state: RecurrentState) -> Tensor:
        """Scores (rows, tokens, vocabulary) of what comes after each token; rows without padding, which go on from the state."""
        hidden, state.layers = self._run(input_ids, state.layers, None)
        scores: Tensor = self.output(self.dropout(hidden))
        return scores

    def start(self, input_ids: Tensor, mask: Tensor) -> tuple[RecurrentState, Tensor]:
        """Read rows from nothing, padding on the right: the state behind each row's last token, and the scores there (rows, vocabulary)."""
        lengths = mask.sum(1)
        hidden, layers = self._run(input_ids, [], lengths)
        last = hidden[torch.arange(len(hidden)), lengths - 1]
        return RecurrentState(layers), self.output(last)

    @property
    def vocab_size(self) -> int:
        """Rows of the token table."""
        return self.config.vocab_size

    def _run(self, input_ids: Tensor, before: list[State], lengths: Tensor | None) -> tuple[Tensor, list[State]]:
        vectors, after = self.embedding_dropout(self.tokens(input_ids) * self.scale), []
        for number, layer in enumerate(self.layers):
            vectors, state = advance(layer, self.dropout(vectors) if number else vectors, before[number] if before else None, lengths)
            after.append(state)
        return vectors, after


def advance(layer: nn.Module, vectors: Tensor, before: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
    """One layer over (rows, tokens, size).

    Args:
        before: its state, zeros where None.
        lengths: tokens of each row, all where None: the state answered is the one behind the last of them.

    Returns:
        The outputs, which mean nothing behind a row's end, and the state.
    """
    if isinstance(layer, Recurrence):
        found: tuple[Tensor, State] = layer(vectors, before, lengths)
        return found
    begin: Any = None if before is None else tuple(part[None].contiguous() for part in before)
    if begin is not None and len(begin) == 1:
        (begin,) = begin  # an RNN's and a GRU's state is its output alone
    is_ragged = lengths is not None and bool((lengths < vectors.shape[1]).any())
    given: Any = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False) if is_ragged else vectors  # type: ignore[arg-type]  # there are lengths then
    outputs, after = layer(given, begin)
    if is_ragged:
        outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=vectors.shape[1])
    return outputs, tuple(part[0] for part in (after if isinstance(after, tuple) else (after,)))
