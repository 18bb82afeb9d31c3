"""Rows that are being written: what came of each so far, what of that was told, and the places that they take. Belong to the worker's
event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from hanlin.engines.gathering import Found
from hanlin.generation import Delta, FinishReason, Generated, Seen
from hanlin.serving.answering import Work
from hanlin.serving.wire import Part
from hanlin.tasks.base import Piece, RowStream
from hanlin.tasks.sequences import to_arrays

BATCH_SHARE = 0.75  # of the places are for the batch lane, at most
BESIDE_SHARE = 1 / 16  # while rows of others are open: each more makes a turn longer for all of them


@dataclass(slots=True)
class Row:
    """One open row of a call.

    Args:
        number: the engine's name for it.
        call: whose it is.
        index: which of the call's rows.
        cost: tokens that it may come to hold.
        is_batch: of the batch lane.
        stream: makes of tokens what is told; None: nothing is told, and there are no stop words.
        share_s: the engine's time for one row, summed up since the start, when this one was admitted.

    Attributes:
        num_pushed: tokens that the stream has had.
        num_told: tokens that were told, or held back for what was told later.
    """

    number: int
    call: int
    index: int
    cost: int
    stream: RowStream | None
    share_s: float = 0.0
    is_batch: bool = False
    ids: list[int] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    score: float = 0.0
    num_cached: int = 0
    num_pushed: int = 0
    num_told: int = 0

    def take(self, delta: Delta) -> None:
        """Add what a turn wrote."""
        self.ids += delta.ids
        self.seen += delta.seen
        self.score += delta.score
        self.num_cached = max(self.num_cached, delta.num_cached)

    @property
    def num_unpushed(self) -> int:
        """Tokens that the stream has not had."""
        return len(self.ids) - self.num_pushed

    def push(self, finish: FinishReason | None) -> Piece:
        """Give the stream what it has not had."""
        if self.stream is None:
            return Piece(None)
        new, self.num_pushed = slice(self.num_pushed, None), len(self.ids)
        return self.stream.push(self.ids[new], self.seen[new], finish)

    def told(self) -> int:
        """How many tokens the part that is told now holds."""
        count, self.num_told = len(self.ids) - self.num_told, len(self.ids)
        return count

    def generated(self, finish: FinishReason) -> Generated:
        """All that was written."""
        return Generated(tuple(self.ids), finish, self.score, tuple(self.seen), self.num_cached)


@dataclass(slots=True)
class Writing:
    """A call whose rows wait or are open.

    Args:
        streams: of each row, where the task has them.
        timer: fires at its deadline.
        written: what became of each row that has ended.

    Attributes:
        rows: that are open, by their numbers.
        is_held: until its outlet has room.
    """

    work: Work
    streams: Sequence[RowStream] | None
    timer: asyncio.TimerHandle
    written: list[Generated | None]
    rows: dict[int, Row] = field(default_factory=dict)
    is_held: bool = False

    def tell(self, row: Row, finish: FinishReason | None) -> bool:
        """Tell what is new of a row. Whether it has met a stop word. Raises as the task's streams do."""
        piece, outlet = row.push(finish), self.work.outlet
        if piece.value is not None and outlet is not None:
            cut = () if row.num_told else self.work.encoded.cut
            outlet.send(Part(self.work.call.id, row.index, msgspec.json.encode(piece.value), row.told(), cut))
        return piece.is_ended

    def found(self) -> list[Found | None]:
        """All rows, which have ended, as a step would give them."""
        arrays = to_arrays([each for each in self.written if each is not None])
        return [(arrays, index) for index in range(len(self.written))]


class Places:
    """The open rows of an engine.

    Args:
        max_rows: at once.
        max_tokens: that they may come to hold together; None: any number.

    Attributes:
        rows: by their numbers.
        tokens: that they may come to hold together.
        is_reserved: one is a suspect, beside which nothing may run.
    """

    def __init__(self, max_rows: int, max_tokens: int | None) -> None:
        self.rows: dict[int, Row] = {}
        self.tokens = 0
        self.is_reserved = False
        self._max_rows = max_rows
        self._max_tokens = max_tokens
        self._max_batch, self._max_beside = (max(1, int(max_rows * share)) for share in (BATCH_SHARE, BESIDE_SHARE))
        self._num_batch = 0

    @property
    def has_room(self) -> bool:
        """Whether one more may be opened."""
        return not self.is_reserved and len(self.rows) < self._max_rows

    @property
    def room_tokens(self) -> int | None:
        """How much one more may come to hold; None: any number. Below 0 when a row is larger than all of it."""
        return None if self._max_tokens is None else self._max_tokens - self.tokens

    @property
    def has_batch_room(self) -> bool:
        """Whether one more of the batch lane may be."""
        return self._num_batch < (self._max_beside if len(self.rows) > self._num_batch else self._max_batch)

    def gauges(self) -> dict[str, float]:
        """What is open, by name."""
        return {"open_rows": float(len(self.rows)), "open_tokens": float(self.tokens)}

    def open(self, row: Row, *, is_suspect: bool) -> None:
        """Take it in."""
        self.rows[row.number] = row
        self.tokens += row.cost
        self._num_batch += row.is_batch
        self.is_reserved = is_suspect

    def close(self, row: Row) -> None:
        """Its place is free."""
        del self.rows[row.number]
        self.tokens -= row.cost
        self._num_batch -= row.is_batch
        self.is_reserved = self.is_reserved and bool(self.rows)

    def check_integrity(self) -> None:
        """Raises AssertionError when the counts do not add up."""
        assert sum(row.cost for row in self.rows.values()) == self.tokens, "open tokens"
        assert sum(row.is_batch for row in self.rows.values()) == self._num_batch, "rows of the batch lane"
        assert self.rows or not self.is_reserved, "places kept for nobody"
