"""What a network must be able to do so that `generate` and `ContinuousBatch` can write with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, Self

from torch import Tensor


class Writing(Protocol):
    """Rows that are being written: what the network remembers of them."""

    def feed(self, ids: Tensor) -> Tensor:
        """Take up further tokens of every row, (rows, tokens) int64. Returns the scores of what comes next, (rows, vocabulary)."""
        ...

    def pick(self, index: Tensor) -> Self:
        """The rows of `index` (any number,) int64, in its order; a row may go, and may come more than once."""
        ...

    def join(self, other: Self) -> Self:
        """The rows of both, those of `other` behind ours, of a `StepModel` that `joins`. Neither is used any more."""
        ...

    def first(self, count: int) -> Self | None:
        """The only row as it was after its first `count` tokens, of a `StepModel` that `continues`; None where that is forgotten.

        What is fed to either, the other does not see."""
        ...

    @property
    def size_bytes(self) -> int:
        """What it holds of all that it has read."""
        ...


class StepModel(Protocol):
    """A network that writes.

    Attributes:
        stop_ids: what ends a target unless the settings say otherwise.
        num_tokens: of the vocabulary.
        joins: whether rows that were begun at different times can be stepped together.
        continues: whether a target is its row's own continuation, so that a row may be read piece by piece.
    """

    stop_ids: tuple[int, ...]
    num_tokens: int
    joins: bool
    continues: bool

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
