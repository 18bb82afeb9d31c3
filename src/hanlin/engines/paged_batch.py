"""Rows that come and go while others are being written, over a model that remembers in blocks (continuous batching).

A turn writes one token of every row that has been read, and reads a piece of those that have not: a long prompt holds nobody up. A row
begins when there are blocks for what it holds, and takes more as it grows. When there are none left, the row that began last is set back:
it keeps its tokens, its draws and its form, gives up its blocks, and is read again before any other begins. The oldest row goes on always,
and all blocks together hold any single one, so every row ends. A row that is alone may write several tokens a turn: see `lookup` and
`drafting`.

Source: Yu et al., Orca (2022); pieces: Agrawal et al., Sarathi-Serve (2024); rows that are set back: Kwon et al., PagedAttention (2023).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace

from hanlin.engines.blocks import BLOCK_TOKENS, BlockPool, further_names, num_blocks
from hanlin.engines.drafting import LEAST, Drafter
from hanlin.engines.lookup import Lookup, Worth
from hanlin.engines.openvino_paged import Paged, Piece
from hanlin.engines.token_choice import Choice, Line, Scores, choose
from hanlin.errors import HanlinError, as_exception
from hanlin.generation import Delta, FinishReason
from hanlin.networks.generation.form import WAIT_S, Form
from hanlin.networks.generation.pace import Pace

ALONE = 512  # tokens read a turn when nobody waits: enough for full speed, and little enough that who leaves is noticed
MAX_ROWS = 64


@dataclass(slots=True, eq=False)
class _Row:
    """A row that was admitted.

    Attributes:
        ids: all tokens, those that were written among them.
        shares: whether it takes over what is known of beginnings, and makes its own known.
        form: of its line, soon; it begins when that is there.
        done: tokens that its blocks hold.
        age: rows that began before it; None: it never did.
        name: of its newest full block that is known.
        drafts: what the guesses of the smaller model are worth to it.
        guessed_by: of the source whose guess is checked in this turn.
    """

    number: int
    line: Line
    ids: list[int]
    shares: bool
    form: Future[Form] | None
    blocks: list[int] = field(default_factory=list)
    done: int = 0
    num_cached: int = 0
    age: int | None = None
    name: bytes = b""
    num_known: int = 0
    lookup: Lookup = field(default_factory=Lookup)
    drafts: Worth = field(default_factory=lambda: Worth(LEAST))
    guessed_by: Worth | None = None

    @property
    def num_left(self) -> int:
        """Tokens that are to be read before the next one is written: 1 of a row that is being written."""
        return len(self.ids) - self.done


class PagedBatch:
    """All rows of one model.

    Args:
        failed: makes of what was wrong with one row the error that is told of it.
        drafter: guesses where a row itself gives no guess.
        clock: seconds, by which turns are timed.

    Attributes:
        num_set_back: rows that had to give up their blocks, so far.
    """

    def __init__(
        self, model: Paged, failed: Callable[[Exception], HanlinError], *, drafter: Drafter | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:  # fmt: skip
        self._model, self._failed, self._drafter, self._clock = model, failed, drafter, clock
        self._pace = Pace(ALONE)
        self._num_begun = self.num_set_back = 0
        self.pool = BlockPool(model.size)
        self._waiting: deque[_Row] = deque()
        self._rows: list[_Row] = []
        self._told: list[Delta] = []  # of rows that ended before they began

    @property
    def num_rows(self) -> int:
        """Rows that have not ended."""
        return len(self._waiting) + len(self._rows) + len(self._told)

    def admit(self, number: int, line: Line, form: Future[Form] | None = None, *, shares: bool = True) -> None:
        """Take a row on; its room must fit into all blocks together.

        Args:
            form: what its settings' constraint is made into; the row waits for it.
            shares: whether blocks of earlier rows that begin alike are taken over, and its own kept for later ones.
        """
        ids = list(line.before)
        if line.room <= 0:
            self._told.append(Delta(number, finish="length"))
        elif not all(0 <= token < self._model.vocabulary for token in ids):
            self._told.append(self._error(number, IndexError("an id beyond the vocabulary")))
        else:
            self._waiting.append(_Row(number, line, ids, shares, form))

    def drop(self, number: int) -> None:
        """Forget a row; nothing for one that is not open."""
        self._told = [delta for delta in self._told if delta.number != number]
        self._waiting = deque(row for row in self._waiting if row.number != number)
        for row in [row for row in self._rows if row.number == number]:
            self._close(row)

    def clear(self) -> None:
        """Forget all rows and all that is known: a step that failed may have left anything in the blocks."""
        for row in list(self._rows):
            self._close(row)
        self._waiting.clear()
        self._told.clear()
        self.pool.forget()
        if self._drafter is not None:
            self._drafter.forget()

    def close(self) -> None:
        """Let go of the models. Nothing may follow."""
        self.clear()
        del self._model, self._drafter

    def turn(self) -> list[Delta]:
        """See `StreamingSession.turn`. Raises RuntimeError as `Paged.step` does, all rows being lost."""
        deltas = self._seat()
        if not self._rows:
            return deltas
        begun_s = self._clock()
        try:
            pieces, stepped_s = self._pieces(), self._clock()
            num_read = sum(len(piece.ids) for row, piece in pieces if row.num_left > 1)
            num_written = sum(row.num_left == 1 for row, _ in pieces)
            found = self._model.step([piece for _, piece in pieces])
        except RuntimeError:
            self.clear()
            raise
        for (row, piece), scores in zip(pieces, found, strict=True):
            if piece.is_wanted_whole:
                deltas.append(self._write_several(row, piece.ids[1:], scores))
                continue
            row.done += len(piece.ids)
            self._know(row)
            if row.done == len(row.ids):
                deltas.append(self._write(row, scores[-1]))
        if not any(piece.is_wanted_whole for _, piece in pieces):
            self._pace.note(num_written, num_read, self._clock() - stepped_s)
        if self._drafter is not None and num_written == len(pieces) == 1:
            self._note_costs(*pieces[0], begun_s, stepped_s)
        return deltas

    def _note_costs(self, row: _Row, piece: Piece, begun_s: float, stepped_s: float) -> None:
        assert self._drafter is not None
        if not piece.is_wanted_whole:
            self._drafter.costs.note(self._clock() - stepped_s, is_drafted=False)
        elif row.guessed_by is row.drafts:
            self._drafter.costs.note(self._clock() - begun_s, is_drafted=True)
            row.drafts.least = self._drafter.costs.least

    def _seat(self) -> list[Delta]:
        """Rows begin in the order in which they came, those later whose form takes longer. Returns the ends of those that never do."""
        forms = [row.form for row in self._waiting if row.form is not None and not row.form.done()]
        if forms and not self._rows and not self._told and len(forms) == len(self._waiting):
            wait(forms, timeout=WAIT_S, return_when=FIRST_COMPLETED)
        for row in [row for row in self._waiting if row.form is None or row.form.done()]:
            if len(self._rows) == MAX_ROWS or not self._begin(row):
                break
            self._waiting.remove(row)
        deltas, self._told = self._told, []
        return deltas

    def _begin(self, row: _Row) -> bool:
        """Whether it has begun, or ended before; False: there are not blocks enough."""
        try:
            row.line.form = row.form.result() if row.form is not None else None
        except BaseException as error:  # whatever the making of it met: the other rows go on
            self._told.append(self._error(row.number, as_exception(error)))
            return True
        known = self.pool.find(row.ids) if row.shares else []
        missing = num_blocks(len(row.ids) + 1) - len(known)
        if missing + len(self._rows) > self.pool.num_free:  # one for each of the others: it would be set back at once
            self.pool.leave(known)
            return False
        row.blocks = known + self.pool.take(missing)
        row.done = len(known) * BLOCK_TOKENS
        if row.age is None:
            row.age, row.num_cached = self._num_begun, row.done
            self._num_begun += 1
        self._rows.append(row)
        return True

    def _grow(self) -> None:
        """Blocks for the newest token of every row, of the oldest first."""
        for row in sorted(self._rows, key=_age):
            while row in self._rows and len(row.blocks) < num_blocks(len(row.ids)):
                if self.pool.num_free:
                    row.blocks += self.pool.take(1)
                else:
                    self._set_back(max(self._rows, key=_age))

    def _set_back(self, row: _Row) -> None:
        self._close(row)
        row.blocks, row.done, row.name, row.num_known = [], 0, b"", 0
        self._waiting.appendleft(row)  # all that wait are younger: none of them begins before it
        self.num_set_back += 1

    def _pieces(self) -> list[tuple[_Row, Piece]]:
        """Of every row that is written its newest token; of those that are read what there is room for, the first ones first."""
        self._grow()
        written = [row for row in self._rows if row.num_left == 1]
        left = self._pace.size(len(written))
        if len(written) == len(self._rows) == 1:
            return [(written[0], self._guessed(written[0]))]
        pieces = [(row, Piece(row.ids[-1:], row.done, row.blocks)) for row in written]
        for row in self._rows:
            count = min(left, row.num_left)
            if count > 0 and row.num_left > 1:
                pieces.append((row, Piece(row.ids[row.done : row.done + count], row.done, row.blocks)))
                left -= count
        return pieces

    def _guessed(self, row: _Row) -> Piece:
        """Its newest token, and what may follow, as far as its blocks and its room reach."""
        most = min(len(row.blocks) * BLOCK_TOKENS - len(row.ids), row.line.room - len(row.line.written) - 1)
        guess, row.guessed_by = row.lookup.draft(row.ids, most), row.lookup.worth
        if not guess and self._drafter is not None and row.drafts.is_due(len(row.ids)):
            guess, row.guessed_by = self._drafter.draft(row.ids, most), row.drafts
        return Piece([row.ids[-1], *guess], row.done, row.blocks, is_wanted_whole=bool(guess))

    def _write_several(self, row: _Row, guess: Sequence[int], scores: Scores) -> Delta:
        """Tokens as they are written one by one, while they are what was guessed, and one more."""
        told: Delta | None = None
        assert row.guessed_by is not None, "a guess has a source"
        for place, each in enumerate(scores):
            row.done += 1
            self._know(row)
            delta = self._write(row, each)
            told = delta if told is None else _joined(told, delta)
            if delta.finish is not None or place == len(guess) or row.ids[-1] != guess[place]:
                row.guessed_by.note(place, len(row.ids))
                break
        assert told is not None, "a token at least"
        return told

    def _know(self, row: _Row) -> None:
        full = row.done // BLOCK_TOKENS
        if row.shares and full > row.num_known:
            names = further_names(row.name, row.ids[row.num_known * BLOCK_TOKENS : full * BLOCK_TOKENS])
            for block, name in zip(row.blocks[row.num_known : full], names, strict=True):
                self.pool.know(block, name)
            row.name, row.num_known = names[-1], full

    def _write(self, row: _Row, scores: Scores) -> Delta:
        try:
            choice = choose(scores, row.line)
            finish = row.line.take(choice.token)
        except (HanlinError, RuntimeError, ValueError, IndexError) as error:  # scores that are none; a form that takes too much work
            self._close(row)
            return self._error(row.number, error)
        if finish is not None:
            self._close(row)
        else:
            row.ids.append(choice.token)
        return _delta(row, choice, finish)

    def _error(self, number: int, error: Exception) -> Delta:
        return Delta(number, finish="cancelled", error=error if isinstance(error, HanlinError) else self._failed(error))

    def _close(self, row: _Row) -> None:
        self._rows.remove(row)
        self.pool.leave(row.blocks)


def _delta(row: _Row, choice: Choice, finish: FinishReason | None) -> Delta:
    is_written = choice.token not in row.line.stops
    seen = (choice.seen,) if is_written and choice.seen is not None else ()
    ids = (choice.token,) if is_written else ()
    return Delta(row.number, ids, finish, seen, choice.log, row.num_cached if finish else 0)


def _age(row: _Row) -> int:
    assert row.age is not None, "a row that has begun"
    return row.age


def _joined(first: Delta, then: Delta) -> Delta:
    return replace(then, ids=first.ids + then.ids, seen=first.seen + then.seen, score=first.score + then.score)
