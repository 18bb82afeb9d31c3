"""Rows that were admitted and not yet read to their end: whose turn it is. Knows no scores; what is read is `continuous`' business."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass

from hanlin.errors import as_exception
from hanlin.generation import GenerationSettings
from hanlin.networks.generation.form import WAIT_S, Form
from hanlin.networks.generation.prefixes import MIN_TOKENS, Prefixes, common
from hanlin.networks.generation.protocol import Writing


@dataclass(slots=True, eq=False)
class Reading:
    """A row that is not read to its end yet.

    Attributes:
        most: tokens that it may come to hold.
        state: of what was read of it, `num_read` tokens.
    """

    number: int
    ids: tuple[int, ...]
    settings: GenerationSettings
    most: int
    form: Future[Form] | None
    state: Writing | None = None
    num_read: int = 0
    num_cached: int = 0
    is_looked_up: bool = False

    @property
    def is_begun(self) -> bool:
        """Whether something of it was read for itself."""
        return self.num_read > self.num_cached

    @property
    def is_ready(self) -> bool:
        """Whether nothing but its turn is waited for."""
        return self.form is None or (self.form.done() and self.form.exception() is None)


class Waiting:
    """Rows in the order in which they are read.

    Args:
        prefixes: that need not be read again.
        room_tokens: most tokens that rows hold, padding to the longest included.
    """

    def __init__(self, prefixes: Prefixes, room_tokens: int | None) -> None:
        self._prefixes, self._room_tokens = prefixes, room_tokens
        self._rows: deque[Reading] = deque()

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Reading]:
        return iter(self._rows)

    def add(self, row: Reading) -> None:
        """Behind all others: a row of which a piece was read goes there too, so that a short one need not wait for its end."""
        self._rows.append(row)

    def remove(self, rows: Sequence[Reading]) -> None:
        """They are read now, or wait no more."""
        self._rows = deque(row for row in self._rows if row not in rows)

    def drop(self, number: int) -> None:
        """Forget the row of that number, if there is one."""
        self.remove([row for row in self._rows if row.number == number])

    def refused(self) -> list[tuple[Reading, Exception]]:
        """Take out the rows whose forms turned out to be none."""
        found = [(row, error) for row in self._rows if row.form and row.form.done() and (error := row.form.exception())]
        self.remove([row for row, _ in found])
        return [(row, as_exception(error)) for row, error in found]

    def await_form(self) -> None:
        """For a moment, if all rows wait for theirs: rather than turn after turn of nothing."""
        forms = [row.form for row in self._rows if row.form is not None and not row.form.done()]
        if forms and len(forms) == len(self._rows):
            wait_for(forms, timeout=WAIT_S, return_when=FIRST_COMPLETED)

    def next_rows(self, size: int, others: Sequence[Reading]) -> list[Reading]:
        """The first whose turn it is and, where it is short, others that fit beside it. Nobody overtakes a row that has no room.

        Args:
            size: tokens that are to be read.
            others: rows that are being written.
        """
        chosen: list[Reading] = []
        is_full = False
        for row in self._rows:
            if not row.is_ready or self._is_being_read(row):
                continue
            is_full |= not row.is_begun and not self._has_room([*chosen, row], others)
            if is_full and not row.is_begun:
                continue
            self._look_up(row)
            longest = max(len(each.ids) for each in [*chosen, row])
            if chosen and (row.state is not None or longest * (len(chosen) + 1) > size):
                break
            chosen.append(row)
            if row.state is not None or longest > size:
                break
        return chosen

    def _is_being_read(self, row: Reading) -> bool:
        """Whether another's reading is worth waiting for: what both begin with is more than what is left to be read of it."""
        if row.is_begun or not self._prefixes.is_kept(row.ids):
            return False
        alike = [each for each in self._rows if each.settings.adapter == row.settings.adapter]
        begun = [each for each in alike if each.is_begun and self._prefixes.is_kept(each.ids)]
        return any(_is_worth(each, common(each.ids, row.ids)) for each in begun)

    def _has_room(self, more: Sequence[Reading], others: Sequence[Reading]) -> bool:
        others = [*others, *(row for row in self._rows if row.is_begun)]
        if self._room_tokens is None or (not others and len(more) == 1):
            return True
        rows = [*others, *more]
        return len(rows) * max(row.most for row in rows) <= self._room_tokens

    def _look_up(self, row: Reading) -> None:
        if not row.is_looked_up and (found := self._prefixes.find(row.ids, row.settings.adapter)) is not None:
            row.num_cached, row.state = found
            row.num_read = row.num_cached
        row.is_looked_up = True


def _is_worth(begun: Reading, num_alike: int) -> bool:
    """Whether waiting for a row that is being read saves more than it takes."""
    assert begun.state is not None, "a row of which something was read"
    is_shared = begun.state.first(min(num_alike, begun.num_read)) is not None
    return is_shared and num_alike >= max(MIN_TOKENS, len(begun.ids) - begun.num_read)
