"""Rows that are only read, over blocks: what the network thinks of each token, in pieces, while somebody wants it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hanlin.engines.blocks import BLOCK_TOKENS, BlockPool, num_blocks
from hanlin.engines.openvino_paged import Piece
from hanlin.engines.paged_batch import ALONE
from hanlin.engines.paged_reading import PagedReader

VOCABULARY = 20


class Naming:
    """The likeliest token is the one after the last token; every other is as likely as any."""

    vocabulary = VOCABULARY

    def __init__(self, size: int) -> None:
        self.size = size
        self.steps: list[int] = []  # tokens of each

    def step(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        self.steps.append(sum(len(piece.ids) for piece in pieces))
        return [np.eye(VOCABULARY, dtype=np.float32)[(np.array(piece.ids) + 1) % VOCABULARY] * 5 for piece in pieces]


def rows_of(*lengths: int) -> dict[int, list[int]]:
    return {number: [(3 * number + place) % VOCABULARY for place in range(length)] for number, length in enumerate(lengths)}


def read(model: Naming, pool: BlockPool, rows: dict[int, list[int]], wanted: dict[int, int] | None = None) -> dict[int, tuple[str, int]]:
    """The end of each row and how many tokens were seen.

    Args:
        wanted: how often a row is asked about before nobody wants it.
    """
    asked = dict.fromkeys(rows, 0)

    def is_wanted(number: int) -> bool:
        asked[number] += 1
        return asked[number] <= (wanted or {}).get(number, 10**9)

    found = PagedReader(model, pool).read(rows, dict.fromkeys(rows, 1), is_wanted)
    assert all(token.is_first for each in found.values() for token in each.seen), "each row counts upwards"
    return {number: (each.finish, len(each.seen)) for number, each in found.items()}


def test_rows_are_read_whole_whatever_they_are_read_beside() -> None:
    rows = rows_of(1, 40, 2 * ALONE, 700, 3)
    model, pool = Naming(400), BlockPool(400)
    assert read(model, pool, rows) == {number: ("stop", len(row) - 1) for number, row in rows.items()}
    assert max(model.steps) <= ALONE
    assert pool.num_free == pool.size


def test_a_row_that_nobody_wants_any_more_leaves_between_pieces() -> None:
    rows = rows_of(10, 20 * ALONE)
    model, pool = Naming(1000), BlockPool(1000)
    assert read(model, pool, rows, {1: 2}) == {0: ("stop", 9), 1: ("cancelled", 0)}
    assert len(model.steps) < 4, "of twenty pieces at least"
    assert pool.num_free == pool.size


def test_a_row_for_which_there_is_no_room_is_an_error_and_not_a_wait_without_end() -> None:
    rows = rows_of(8 * BLOCK_TOKENS)
    model, pool = Naming(10), BlockPool(10)
    held = pool.take(10 - num_blocks(8 * BLOCK_TOKENS) + 1)
    with pytest.raises(RuntimeError, match="fewer blocks"):
        read(model, pool, rows)
    pool.leave(held)
    assert read(model, pool, rows) == {0: ("stop", 8 * BLOCK_TOKENS - 1)}
