"""Our own networks that write, as `StepModel`s."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hanlin.networks.decoder import CausalDecoder, Decoder
from hanlin.networks.generation.protocol import pad_rows
from hanlin.networks.kv_cache import DecoderCache
from hanlin.networks.recurrent_decoder import RecurrentDecoder, RecurrentState
from hanlin.networks.seq2seq import EncoderDecoder


@dataclass(slots=True)
class OwnWriting:
    """See `Writing`."""

    decoder: Decoder
    cache: DecoderCache

    def step(self, ids: Tensor) -> Tensor:
        """See `Writing.step`."""
        scores: Tensor = self.decoder(ids[:, None], torch.ones_like(ids)[:, None], self.cache, last_only=True)
        return scores[:, -1]

    def reorder(self, index: Tensor) -> None:
        """See `Writing.reorder`."""
        self.cache.reorder(index)


class OwnCausal:
    """A decoder that continues its rows."""

    def __init__(self, network: CausalDecoder) -> None:
        self._network = network
        self.stop_ids: tuple[int, ...] = (network.config.eos_token_id,)
        self.num_tokens = network.config.vocab_size

    def begin(self, rows: Sequence[Sequence[int]]) -> tuple[OwnWriting, Tensor]:
        """See `StepModel.begin`."""
        decoder = self._network.decoder
        ids, mask = map(torch.tensor, pad_rows(rows, self._network.config.pad_token_id, is_left=True))
        cache = DecoderCache.empty(len(decoder.blocks), len(rows))
        scores = decoder(ids, mask, cache, last_only=True)
        return OwnWriting(decoder, cache), scores[:, -1]

    def read(self, row: Sequence[int]) -> list[int]:
        """See `StepModel.read`."""
        return list(row)

    def room(self, row: Sequence[int]) -> int:
        """See `StepModel.room`."""
        return self._network.config.max_position_embeddings - len(row)

    def scan(self, rows: Tensor, piece: int) -> Iterator[Tensor]:
        """See `StepModel.scan`."""
        decoder = self._network.decoder
        cache = DecoderCache.empty(len(decoder.blocks), len(rows))
        for start in range(0, rows.shape[1], piece):
            ids = rows[:, start : start + piece]
            yield decoder(ids, torch.ones_like(ids), cache)


@dataclass(slots=True)
class RecurrentWriting:
    """See `Writing`. A step costs the same after any text."""

    network: RecurrentDecoder
    state: RecurrentState

    def step(self, ids: Tensor) -> Tensor:
        """See `Writing.step`."""
        return self.network.read(ids[:, None], self.state)[:, -1]

    def reorder(self, index: Tensor) -> None:
        """See `Writing.reorder`."""
        self.state.reorder(index)


class OwnRecurrent:
    """A recurrent network that continues its rows."""

    def __init__(self, network: RecurrentDecoder) -> None:
        self._network = network
        self.stop_ids: tuple[int, ...] = (network.config.eos_token_id,)
        self.num_tokens = network.config.vocab_size

    def begin(self, rows: Sequence[Sequence[int]]) -> tuple[RecurrentWriting, Tensor]:
        """See `StepModel.begin`."""
        state, scores = self._network.start(*map(torch.tensor, pad_rows(rows, self._network.config.pad_token_id, is_left=False)))
        return RecurrentWriting(self._network, state), scores

    def read(self, row: Sequence[int]) -> list[int]:
        """See `StepModel.read`."""
        return list(row)

    def room(self, row: Sequence[int]) -> int | None:
        """See `StepModel.room`: it counts no positions, unless it was told to."""
        positions = self._network.config.max_position_embeddings
        return positions - len(row) if positions else None

    def scan(self, rows: Tensor, piece: int) -> Iterator[Tensor]:
        """See `StepModel.scan`."""
        state = RecurrentState([])
        for start in range(0, rows.shape[1], piece):
            yield self._network.read(rows[:, start : start + piece], state)


class OwnSeq2Seq:
    """An encoder–decoder that writes a target for each row."""

    def __init__(self, network: EncoderDecoder) -> None:
        self._network = network
        self.stop_ids: tuple[int, ...] = (network.config.eos_token_id,)
        self.num_tokens = network.config.vocab_size

    def begin(self, rows: Sequence[Sequence[int]]) -> tuple[OwnWriting, Tensor]:
        """See `StepModel.begin`."""
        config = self._network.config
        ids, mask = map(torch.tensor, pad_rows(rows, config.pad_token_id, is_left=False))
        writing = OwnWriting(self._network.decoder, self._network.start(ids, mask))
        return writing, writing.step(torch.full((len(rows),), config.bos_token_id))

    def read(self, row: Sequence[int]) -> list[int]:
        """See `StepModel.read`."""
        return [self._network.config.bos_token_id]

    def room(self, row: Sequence[int]) -> int:
        """See `StepModel.room`."""
        return self._network.config.max_position_embeddings - 1  # the start is one

    def scan(self, rows: Tensor, piece: int) -> Iterator[Tensor]:
        """See `StepModel.scan`."""
        raise RuntimeError("a network that writes targets is not read")
