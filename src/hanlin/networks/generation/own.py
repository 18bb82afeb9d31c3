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

    def feed(self, ids: Tensor) -> Tensor:
        """See `Writing.feed`."""
        scores: Tensor = self.decoder(ids, torch.ones_like(ids), self.cache, last_only=True)
        return scores[:, -1]

    def pick(self, index: Tensor) -> OwnWriting:
        """See `Writing.pick`."""
        return OwnWriting(self.decoder, self.cache.pick(index))

    def join(self, other: OwnWriting) -> OwnWriting:
        """See `Writing.join`."""
        return OwnWriting(self.decoder, self.cache.join(other.cache))

    def first(self, count: int) -> OwnWriting:
        """See `Writing.first`."""
        return OwnWriting(self.decoder, self.cache.first(count))

    @property
    def size_bytes(self) -> int:
        """See `Writing.size_bytes`."""
        return self.cache.size_bytes


class OwnCausal:
    """A decoder that continues its rows."""

    joins = continues = True

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
    """See `Writing`. A step costs the same after any text.

    Attributes:
        length: tokens that its rows have read, where it holds a single one.
    """

    network: RecurrentDecoder
    state: RecurrentState
    length: int

    def feed(self, ids: Tensor) -> Tensor:
        """See `Writing.feed`."""
        self.length += ids.shape[1]
        return self.network.read(ids, self.state)[:, -1]

    def pick(self, index: Tensor) -> RecurrentWriting:
        """See `Writing.pick`."""
        return RecurrentWriting(self.network, self.state.pick(index), self.length)

    def join(self, other: RecurrentWriting) -> RecurrentWriting:
        """See `Writing.join`."""
        return RecurrentWriting(self.network, self.state.join(other.state), max(self.length, other.length))

    def first(self, count: int) -> RecurrentWriting | None:
        """See `Writing.first`: a state knows its whole row alone."""
        return RecurrentWriting(self.network, RecurrentState(list(self.state.layers)), count) if count == self.length else None

    @property
    def size_bytes(self) -> int:
        """See `Writing.size_bytes`."""
        return sum(part.nbytes for layer in self.state.layers for part in layer)


class OwnRecurrent:
    """A recurrent network that continues its rows."""

    joins = continues = True

    def __init__(self, network: RecurrentDecoder) -> None:
        self._network = network
        self.stop_ids: tuple[int, ...] = (network.config.eos_token_id,)
        self.num_tokens = network.config.vocab_size

    def begin(self, rows: Sequence[Sequence[int]]) -> tuple[RecurrentWriting, Tensor]:
        """See `StepModel.begin`."""
        state, scores = self._network.start(*map(torch.tensor, pad_rows(rows, self._network.config.pad_token_id, is_left=False)))
        return RecurrentWriting(self._network, state, max(map(len, rows))), scores

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

    joins, continues = True, False

    def __init__(self, network: EncoderDecoder) -> None:
        self._network = network
        self.stop_ids: tuple[int, ...] = (network.config.eos_token_id,)
        self.num_tokens = network.config.vocab_size

    def begin(self, rows: Sequence[Sequence[int]]) -> tuple[OwnWriting, Tensor]:
        """See `StepModel.begin`."""
        config = self._network.config
        ids, mask = map(torch.tensor, pad_rows(rows, config.pad_token_id, is_left=False))
        writing = OwnWriting(self._network.decoder, self._network.start(ids, mask))
        return writing, writing.feed(torch.full((len(rows), 1), config.bos_token_id))

    def read(self, row: Sequence[int]) -> list[int]:
        """See `StepModel.read`."""
        return [self._network.config.bos_token_id]

    def room(self, row: Sequence[int]) -> int:
        """See `StepModel.room`."""
        return self._network.config.max_position_embeddings - 1  # the start is one

    def scan(self, rows: Tensor, piece: int) -> Iterator[Tensor]:
        """See `StepModel.scan`."""
        raise RuntimeError("a network that writes targets is not read")
