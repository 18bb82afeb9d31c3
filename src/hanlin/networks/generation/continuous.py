"""Rows that come and go while others are being written (continuous batching).

    batch.admit(1, ids, settings)
    while batch.num_rows:
        for delta in batch.turn(): …

A turn writes one token of every open row, and reads a piece of those that were admitted: a long prompt holds nobody up. Where states of
rows can be joined (`StepModel.joins`) all open rows are one group; else each group that was begun together is stepped by itself.

Source: Yu et al., Orca (2022); pieces: Agrawal et al., Sarathi (2023).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import torch
from torch import Tensor

from hanlin.errors import HanlinError
from hanlin.generation import Delta, GenerationSettings
from hanlin.networks.generation.adapted import for_rows
from hanlin.networks.generation.form import Form
from hanlin.networks.generation.limits import Row
from hanlin.networks.generation.pace import Pace
from hanlin.networks.generation.prefixes import Prefixes
from hanlin.networks.generation.protocol import StepModel, Writing
from hanlin.networks.generation.run import row_of
from hanlin.networks.generation.tokens import Line, advance
from hanlin.networks.generation.waiting import Reading, Waiting

ALONE = 256  # tokens read a turn when nobody waits: enough for full speed, and little enough that who comes or leaves is noticed


@dataclass(slots=True)
class _Open:
    """A row that is being written."""

    line: Line
    reading: Reading


@dataclass(slots=True)
class _Group:
    """Rows that are stepped together, in the order of their state."""

    rows: list[_Open]
    state: Writing


class ContinuousBatch:
    """All rows of one network that are open. For one thread.

    Args:
        room_tokens: most tokens that rows hold, padding to the longest included; rows beyond wait, unless nobody else is there.
        kept_tokens: most tokens of prompts that are remembered for others that begin alike.
        failed: what the caller calls an error that a row has met alone.
        pace: says how many tokens of prompts are read in a turn.
    """

    def __init__(
        self, model: StepModel, *, room_tokens: int | None = None, kept_tokens: int = 0, failed: Callable[[Exception], HanlinError],
        pace: Pace | None = None,
    ) -> None:  # fmt: skip
        self._model, self._failed, self._pace = model, failed, pace or Pace(ALONE)
        self._num_read = 0  # tokens of prompts, in this turn
        self._prefixes = Prefixes(kept_tokens if model.continues else 0)
        self._waiting = Waiting(self._prefixes, room_tokens)
        self._groups: list[_Group] = []
        self._ended: list[Delta] = []
        self._dropped: set[int] = set()

    @property
    def num_rows(self) -> int:
        """Rows that are open: their last delta is still to come."""
        written = [row for group in self._groups for row in group.rows if row.reading.number not in self._dropped]
        return len(self._waiting) + len(written) + len(self._ended)

    @property
    def size_bytes(self) -> int:
        """What the states of rows that are written hold."""
        return sum(group.state.size_bytes for group in self._groups)

    def admit(self, number: int, ids: Sequence[int], settings: GenerationSettings, form: Future[Form] | None = None) -> None:
        """Take a row on; nothing is computed yet. One without room for a token, or with ids that are none, ends in the next turn.

        Args:
            form: what its settings' constraint is made into; the row waits for it.
        """
        room = self._model.room(ids)
        if not 0 <= min(ids) <= max(ids) < self._model.num_tokens:
            self._ended.append(Delta(number, finish="cancelled", error=self._failed(IndexError("ids beyond the vocabulary"))))
        elif room is not None and room <= 0:
            self._ended.append(Delta(number, finish="length"))
        else:
            most = settings.max_new_tokens if room is None else min(room, settings.max_new_tokens)
            self._waiting.add(Reading(number, tuple(ids), settings, len(ids) + most, form))

    def drop(self, number: int) -> None:
        """Forget a row, whose place is free from the next turn on."""
        self._waiting.drop(number)
        self._ended = [delta for delta in self._ended if delta.number != number]
        self._dropped.add(number)

    @torch.inference_mode()
    def forget(self, adapter: int) -> None:
        """An adapter goes: what was remembered of it is forgotten, and rows of it that are still open end in the next turn."""
        self._prefixes.forget(adapter)
        gone = [row for row in self._waiting if row.settings.adapter == adapter]
        self._waiting.remove(gone)
        gone += [row.reading for group in self._groups for row in group.rows if row.reading.settings.adapter == adapter]
        gone = [row for row in gone if row.number not in self._dropped]
        self._leave(lambda row: row.reading.settings.adapter == adapter)
        lost = self._failed(RuntimeError("the adapter has gone"))
        self._ended += [Delta(row.number, finish="cancelled", error=lost) for row in gone]

    def clear(self) -> None:
        """Forget all rows; prompts stay remembered."""
        self._waiting.remove([*self._waiting])
        self._groups, self._ended, self._dropped = [], [], set()

    @torch.inference_mode()
    def turn(self) -> list[Delta]:
        """Write one token of every open row, and read a piece of those that wait.

        Raises:
            RuntimeError: the network fails. `clear` then: all rows are lost.
        """
        self._leave(lambda row: row.reading.number in self._dropped)
        self._dropped = set()
        deltas, self._ended = self._ended, []
        begun_s, num_rows, self._num_read = time.perf_counter(), sum(len(group.rows) for group in self._groups), 0
        for group in self._groups:
            ids = torch.tensor([[row.line.written[-1]] for row in group.rows])
            deltas += self._advance(group.rows, group.state.feed(ids))
        self._pace.note(num_rows, 0, time.perf_counter() - begun_s)
        deltas += self._read(self._pace.size(num_rows))
        if self._num_read:
            self._pace.note(num_rows, self._num_read, time.perf_counter() - begun_s)
        self._leave(lambda row: row.line.finish is not None)
        return deltas

    def _advance(self, rows: Sequence[_Open], scores: Tensor) -> list[Delta]:
        lengths = [len(row.line.written) for row in rows]
        advance([row.line for row in rows], scores)
        return [self._delta(row, length) for row, length in zip(rows, lengths, strict=True)]

    def _delta(self, row: _Open, length: int) -> Delta:
        line, number = row.line, row.reading.number
        if line.error is not None:
            return Delta(number, finish="cancelled", error=self._error(line.error))
        cached = row.reading.num_cached if line.finish else 0
        return Delta(number, tuple(line.written[length:]), line.finish, tuple(line.seen[length:]), line.log, cached)

    def _error(self, error: Exception) -> HanlinError:
        return error if isinstance(error, HanlinError) else self._failed(error)

    def _leave(self, is_leaving: Callable[[_Open], bool]) -> None:
        for group in self._groups:
            places = [place for place, row in enumerate(group.rows) if not is_leaving(row)]
            if 0 < len(places) < len(group.rows):
                group.state = group.state.pick(torch.tensor(places))
            group.rows = [group.rows[place] for place in places]
        self._groups = [group for group in self._groups if group.rows]

    def _read(self, size: int) -> list[Delta]:
        """So many tokens of the rows that wait, each in its turn; those that are read to their end write their first token."""
        if not self._groups:
            self._waiting.await_form()
        deltas = [Delta(row.number, finish="cancelled", error=self._error(error)) for row, error in self._waiting.refused()]
        open_rows = [row.reading for group in self._groups for row in group.rows]
        if not (rows := self._waiting.next_rows(size, open_rows)):
            return deltas
        state, scores = self._feed(rows, size)
        self._waiting.remove(rows)
        if rows[0].num_read < len(rows[0].ids):
            rows[0].state = state
            self._waiting.add(rows[0])
            return deltas
        self._remember(rows, state)
        begun = [_Open(Line.of(self._told(row)), row) for row in rows]
        deltas += self._advance(begun, scores)
        if self._groups and self._model.joins:
            (group,) = self._groups
            group.state, group.rows = group.state.join(state), group.rows + begun
        else:
            self._groups.append(_Group(begun, state))
        return deltas

    def _told(self, row: Reading) -> Row:
        form = None if row.form is None else row.form.result(timeout=0)
        return row_of(self._model, row.number, row.ids, row.settings, form)

    def _feed(self, rows: Sequence[Reading], size: int) -> tuple[Writing, Tensor]:
        """Read a piece of the first row, or all of several."""
        size = size if self._model.continues else max(len(row.ids) for row in rows)
        pieces = [row.ids[row.num_read : row.num_read + size] for row in rows]
        for row, piece in zip(rows, pieces, strict=True):
            row.num_read += len(piece)
        self._num_read = len(rows) * max(map(len, pieces))
        if (state := rows[0].state) is None:
            return for_rows(self._model, [row.settings for row in rows]).begin(pieces)
        return state, state.feed(torch.tensor(pieces))

    def _remember(self, rows: Sequence[Reading], state: Writing) -> None:
        if not self._model.continues:
            return
        for place, row in enumerate(rows):
            if not self._prefixes.is_kept(row.ids):
                continue
            alone = state if len(rows) == 1 else state.pick(torch.tensor([place]))
            if (kept := alone.first(len(row.ids))) is not None:
                self._prefixes.keep(row.ids, kept, row.settings.adapter)


@torch.inference_mode()
def token_bytes(model: StepModel) -> int:
    """What one more token of a row takes of memory; 0 where a state has a fixed size. Of an encoder–decoder, one of either side."""
    if model.continues:
        state, _ = model.begin([[0, 0]])
        before = state.size_bytes
        state.feed(torch.tensor([[0]]))
        return state.size_bytes - before
    state, _ = model.begin([[0]])
    return state.size_bytes
