"""How likely rows are to a model that remembers in blocks: nothing is written. Short rows are read together, long ones in pieces."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hanlin.engines.blocks import BlockPool, num_blocks
from hanlin.engines.openvino_paged import Paged, Piece
from hanlin.engines.paged_batch import ALONE
from hanlin.engines.token_choice import Scores, seen_of
from hanlin.generation import MAX_SCORES, Generated, Seen


@dataclass(slots=True, eq=False)
class _Read:
    """A row whose tokens are looked at as they come."""

    number: int
    ids: Sequence[int]
    blocks: list[int]
    likeliest: int
    done: int = 0
    seen: list[Seen] = field(default_factory=list)

    @property
    def num_left(self) -> int:
        """Tokens still to be read; behind the last one nothing is looked for."""
        return len(self.ids) - 1 - self.done

    def take(self, scores: Scores) -> None:
        """(tokens, vocabulary) behind further tokens. Raises RuntimeError for scores that are not finite."""
        if not np.isfinite(scores).all():
            raise RuntimeError("the scores of the next token are not finite")
        self.seen += [seen_of(each, self.ids[self.done + place + 1], self.likeliest) for place, each in enumerate(scores)]
        self.done += len(scores)


class PagedReader:
    """Reads rows over blocks that no row of others uses meanwhile."""

    def __init__(self, model: Paged, pool: BlockPool) -> None:
        self._model, self._pool = model, pool
        self._budget = max(1, min(ALONE, MAX_SCORES // model.vocabulary))  # tokens a step

    def read(
        self, rows: Mapping[int, Sequence[int]], likeliest: Mapping[int, int], is_wanted: Callable[[int], bool]
    ) -> dict[int, Generated]:
        """Each row's tokens as the network sees them coming.

        Args:
            likeliest: so many likeliest tokens are told at each place of a row.
            is_wanted: asked of every open row between steps.

        Raises:
            RuntimeError: the network's scores are not finite, the engine fails, or rows of others hold blocks that a row needs.
        """
        waiting, found = deque(sorted(rows, key=lambda number: len(rows[number]))), dict.fromkeys(rows, Generated((), "cancelled"))
        open_rows: list[_Read] = []
        try:
            while waiting or open_rows:
                while waiting and self._has_room(len(rows[waiting[0]]), open_rows):
                    number = waiting.popleft()
                    blocks = self._pool.take(num_blocks(len(rows[number])))
                    open_rows.append(_Read(number, rows[number], blocks, likeliest[number]))
                if not open_rows:
                    raise RuntimeError("fewer blocks are free than a row needs")
                for row in [row for row in open_rows if not is_wanted(row.number)]:
                    open_rows.remove(row)
                    self._pool.leave(row.blocks)
                self._step(open_rows)
                for row in [row for row in open_rows if row.num_left <= 0]:
                    open_rows.remove(row)
                    self._pool.leave(row.blocks)
                    found[row.number] = Generated((), "stop", sum(each.log for each in row.seen), tuple(row.seen))
        finally:
            for row in open_rows:
                self._pool.leave(row.blocks)
        return found

    def _has_room(self, length: int, open_rows: Sequence[_Read]) -> bool:
        return sum(row.num_left for row in open_rows) < self._budget and num_blocks(length) <= self._pool.num_free

    def _step(self, open_rows: Sequence[_Read]) -> None:
        left, pieces = self._budget, []
        for row in open_rows:
            count = min(left, row.num_left)
            left -= count
            if count > 0:
                pieces.append((row, Piece(row.ids[row.done : row.done + count], row.done, row.blocks, is_wanted_whole=True)))
        if pieces:
            for (row, _), scores in zip(pieces, self._model.step([piece for _, piece in pieces]), strict=True):
                row.take(scores)
