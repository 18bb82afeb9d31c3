"""What a network must be able to do so that `generate` can write with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from torch import Tensor


class Writing(Protocol):
    """Rows that are being written: what the network remembers of them."""

    def step(self, ids: Tensor) -> Tensor:
        """Take up one more token a row, (rows,) int64. Returns the scores of what comes next, (rows, vocabulary)."""
        ...

    def reorder(self, index: Tensor) -> None:
        """Go on with the rows of `index` (any number,) int64, in its order; a row may go, and may come more than once."""
        ...


class StepModel(Protocol):
    """A network that writes.

    Attributes:
        stop_ids: what ends a target unless the settings say otherwise.
        num_tokens: of the vocabulary.
    """

    stop_ids: tuple[int, ...]
    num_tokens: int

    def begin(self, rows: Sequence[Sequence[int]]) -> tuple[Writing, Tensor]:
        """Read rows of ids, each once. Returns their state and the scores of each target's first token, (rows, vocabulary)."""
        ...

    def read(self, row: Sequence[int]) -> list[int]:
        """What stands before the first token that is written: the row itself where it is continued, else the target's own start."""
        ...

    def room(self, row: Sequence[int]) -> int | None:
        """Most tokens that can be written for `row`; None for no limit."""
        ...

    def scan(self, rows: Tensor, piece: int) -> Iterator[Tensor]:
        """What comes after each token of rows (rows, tokens) int64, filled on the right: scores (rows, piece, vocabulary), piece by piece.

        Raises:
            RuntimeError: this network continues nothing: it writes targets.
        """
        ...


def pad_rows(rows: Sequence[Sequence[int]], pad_id: int, *, is_left: bool) -> tuple[list[list[int]], list[list[int]]]:
    """Ids and mask of rows filled to the longest; on the left where the last token of every row shall stand at the end."""
    longest = max(map(len, rows))
    fills = [longest - len(row) for row in rows]
    if is_left:
        return [[pad_id] * n + list(row) for row, n in zip(rows, fills, strict=True)], [[0] * n + [1] * (longest - n) for n in fills]
    return [list(row) + [pad_id] * n for row, n in zip(rows, fills, strict=True)], [[1] * (longest - n) + [0] * n for n in fills]
