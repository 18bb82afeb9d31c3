"""Writing with a base that many adapters share: every row is read and written by its own.

What a row is written by is known when it is begun, and stays with its state: where states are picked and joined, so are their rows'
adapters. Before each step the layers are told whose the rows are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hanlin.generation import GenerationSettings
from hanlin.networks.generation.protocol import StepModel, Writing
from hanlin.networks.mixed_layers import BatchPlaces, Rows

BASE = 0  # the place of the base itself, whose matrices are zeros


@dataclass(slots=True)
class AdaptedWriting:
    """See `Writing`.

    Args:
        places: of each row, in the stacks of the layers.
        rows: the same, as the layers read it.
    """

    inner: Writing
    batch: BatchPlaces
    places: tuple[int, ...]
    rows: Rows

    def feed(self, ids: Tensor) -> Tensor:
        """See `Writing.feed`."""
        self.batch.rows = self.rows
        return self.inner.feed(ids)

    def pick(self, index: Tensor) -> AdaptedWriting:
        """See `Writing.pick`."""
        return self._with(self.inner.pick(index), tuple(self.places[place] for place in index.tolist()))

    def join(self, other: AdaptedWriting) -> AdaptedWriting:
        """See `Writing.join`."""
        return self._with(self.inner.join(other.inner), self.places + other.places)

    def first(self, count: int) -> AdaptedWriting | None:
        """See `Writing.first`."""
        found = self.inner.first(count)
        return None if found is None else self._with(found, self.places)

    @property
    def size_bytes(self) -> int:
        """See `Writing.size_bytes`."""
        return self.inner.size_bytes

    def _with(self, inner: Writing, places: tuple[int, ...]) -> AdaptedWriting:
        return AdaptedWriting(inner, self.batch, places, rows_at(places))


class AdaptedModel:
    """See `StepModel`: as the base alone, or `by` adapters.

    Args:
        steps: of the base.
        place_of: of an adapter, by the number of its seat.
    """

    def __init__(self, steps: StepModel, batch: BatchPlaces, place_of: Callable[[int], int], *, numbers: Sequence[int | None] = ()) -> None:
        self._steps, self._batch, self._place_of, self._numbers = steps, batch, place_of, numbers
        self.stop_ids, self.num_tokens, self.joins, self.continues = steps.stop_ids, steps.num_tokens, steps.joins, steps.continues

    def by(self, numbers: Sequence[int | None]) -> AdaptedModel:
        """The same for rows of these adapters, one each; None: the base."""
        return AdaptedModel(self._steps, self._batch, self._place_of, numbers=numbers)

    def begin(self, rows: Sequence[Sequence[int]]) -> tuple[AdaptedWriting, Tensor]:
        """See `StepModel.begin`."""
        places = self._tell(len(rows))
        state, scores = self._steps.begin(rows)
        return AdaptedWriting(state, self._batch, places, rows_at(places)), scores

    def read(self, row: Sequence[int]) -> list[int]:
        """See `StepModel.read`."""
        return self._steps.read(row)

    def room(self, row: Sequence[int]) -> int | None:
        """See `StepModel.room`."""
        return self._steps.room(row)

    def scan(self, rows: Tensor, piece: int) -> Iterator[Tensor]:
        """See `StepModel.scan`."""
        self._tell(len(rows))
        return self._steps.scan(rows, piece)

    def _tell(self, num_rows: int) -> tuple[int, ...]:
        numbers = self._numbers or [None] * num_rows
        assert len(numbers) == num_rows, "a row without an adapter, or the other way round"
        places = tuple(BASE if number is None else self._place_of(number) for number in numbers)
        self._batch.rows = rows_at(places)
        return places


def rows_at(places: Sequence[int]) -> Rows:
    """Rows of adapters at these places, to be stepped many times."""
    first = places[0]
    if all(place == first for place in places):
        return Rows(None, first, is_adapted=first != BASE)
    return Rows(torch.tensor(places), first, is_adapted=True, kept={})


def for_rows(model: StepModel, settings: Sequence[GenerationSettings]) -> StepModel:
    """The network as such rows have it: each by the adapter that its settings name."""
    if isinstance(model, AdaptedModel):
        return model.by([each.adapter for each in settings])
    assert all(each.adapter is None for each in settings), "a network that no adapters share"
    return model
