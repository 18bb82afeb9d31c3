"""Rows join and leave while others are written: over a model whose next token is a function of all before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hanlin.engines.base import step_failed
from hanlin.engines.blocks import BLOCK_TOKENS, num_blocks
from hanlin.engines.openvino_paged import Piece
from hanlin.engines.paged_batch import ALONE, PIECE, PagedBatch
from hanlin.engines.token_choice import Line
from hanlin.generation import Delta, GenerationSettings

VOCABULARY = 50
STOP = 3


class Summing:
    """The likeliest token is the sum of all before it, which it reads from its blocks: a block that is mixed up is seen at once."""

    def __init__(self, size: int = 64) -> None:
        self.size, self.vocabulary = size, VOCABULARY
        self.held = np.full((size, BLOCK_TOKENS), -1)
        self.read: list[int] = []  # tokens of each step
        self.fails = False
        self.broken: int | None = None

    def step(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        if self.fails:
            raise RuntimeError("told to fail")
        self.read.append(sum(len(piece.ids) for piece in pieces))
        found = []
        for piece in pieces:
            for place, token in enumerate(piece.ids, piece.before):
                self.held[piece.blocks[place // BLOCK_TOKENS], place % BLOCK_TOKENS] = token
            end = piece.before + len(piece.ids)
            row = self.held[list(piece.blocks)].reshape(-1)[:end]
            assert (row >= 0).all(), "a token that was never read"
            scores = np.zeros((1, VOCABULARY), np.float32)
            scores[0, following(row.tolist())] = np.nan if self.broken in row else 5
            found.append(scores)
        return found


def following(ids: Sequence[int]) -> int:
    return (sum(ids) * 7 + len(ids)) % VOCABULARY


def expected(row: Sequence[int], length: int) -> list[int]:
    ids = list(row)
    while len(ids) < len(row) + length and (token := following(ids)) != STOP:
        ids.append(token)
    return ids[len(row) :]


def line(row: Sequence[int], length: int = 20) -> Line:
    return Line(GenerationSettings(), tuple(row), frozenset({STOP}), length)


def batch_over(model: Summing) -> PagedBatch:
    return PagedBatch(model, lambda error: step_failed("openvino-fp32", error))


def rows_of(count: int, *, longest: int = 90, seed: int = 0) -> list[list[int]]:
    chance = np.random.default_rng(seed)
    return [chance.integers(4, VOCABULARY, chance.integers(1, longest)).tolist() for _ in range(count)]


def run(batch: PagedBatch, written: dict[int, list[int]]) -> dict[int, Delta]:
    """All turns. Returns each row's last delta."""
    last: dict[int, Delta] = {}
    while batch.num_rows:
        for delta in batch.turn():
            assert delta.number not in last, "a row ends once"
            written.setdefault(delta.number, []).extend(delta.ids)
            if delta.finish:
                last[delta.number] = delta
    return last


def test_rows_that_join_at_any_time_are_written_as_they_are_alone() -> None:
    model, written, rows = Summing(), {}, rows_of(40)
    batch = batch_over(model)
    for number, row in enumerate(rows):
        batch.admit(number, line(row))
        for delta in batch.turn() if number % 3 else ():
            written.setdefault(delta.number, []).extend(delta.ids)
    ends = run(batch, written)
    for number, row in enumerate(rows):
        assert written.get(number, []) == expected(row, 20)
    assert {delta.finish for delta in ends.values()} <= {"stop", "length"}
    batch.pool.check_integrity()
    assert batch.pool.num_free == model.size


def test_rows_wait_until_there_are_blocks_for_all_that_they_may_hold() -> None:
    model, written, rows = Summing(size=num_blocks(110) * 2), {}, rows_of(12, seed=4)
    batch = batch_over(model)
    for number, row in enumerate(rows):
        batch.admit(number, line(row))
    run(batch, written)
    assert [written.get(number, []) for number in range(12)] == [expected(row, 20) for row in rows]


def test_a_long_row_is_read_in_pieces_beside_those_that_are_written() -> None:
    model, written = Summing(size=200), {}
    batch = batch_over(model)
    batch.admit(0, Line(GenerationSettings(max_new_tokens=60), (5, 6, 7), frozenset(), 60))
    batch.turn()
    long = rows_of(1, seed=9)[0] * 40
    batch.admit(1, line(long[:900], 3))
    run(batch, written)
    assert max(model.read) == PIECE + 1
    assert written[1] == expected(long[:900], 3)
    alone = Summing(size=200)
    other = batch_over(alone)
    other.admit(0, line(long[:900], 3))
    run(other, {})
    assert alone.read[:2] == [ALONE, 900 - ALONE]


def test_a_beginning_that_is_known_is_not_read_again_and_is_told() -> None:
    model = Summing()
    batch = batch_over(model)
    shared = rows_of(1, seed=2)[0] * 3
    shared = shared[: 2 * BLOCK_TOKENS]
    batch.admit(0, line([*shared, 8], 2))
    assert run(batch, {})[0].num_cached == 0
    model.read.clear()
    written: dict[int, list[int]] = {}
    batch.admit(1, line([*shared, 9], 2))
    assert run(batch, written)[1].num_cached == 2 * BLOCK_TOKENS
    assert written[1] == expected([*shared, 9], 2)
    assert model.read[0] == 1
    batch.admit(2, line([*shared, 9], 2), shares=False)
    assert run(batch, {})[2].num_cached == 0


def test_a_dropped_row_frees_its_blocks_at_once() -> None:
    model = Summing()
    batch = batch_over(model)
    for number, row in enumerate(rows_of(6)):
        batch.admit(number, line(row, 200))
    batch.turn()
    for number in range(6):
        batch.drop(number)
        batch.drop(number)
    assert batch.num_rows == 0
    assert batch.pool.num_free == model.size
    assert batch.turn() == []
    batch.pool.check_integrity()


def test_one_row_fails_alone() -> None:
    model, written = Summing(), {}
    model.broken = 11
    batch = batch_over(model)
    batch.admit(0, line([5, 6], 4))
    batch.admit(1, line([5, 11], 4))
    batch.admit(2, line([5, VOCABULARY], 4))
    batch.admit(3, line([5], 0))
    ends = run(batch, written)
    assert written[0][:2] == expected([5, 6], 2)
    for number in (1, 2):
        assert (ends[number].finish, getattr(ends[number].error, "code", "")) == ("cancelled", "engine_step_failed")
    assert (ends[3].finish, ends[3].ids) == ("length", ())
    batch.pool.check_integrity()


def test_a_failed_step_loses_all_rows_and_nothing_else() -> None:
    model, written = Summing(), {}
    batch = batch_over(model)
    batch.admit(0, line([5, 6, 7]))
    batch.turn()
    model.fails = True
    with pytest.raises(RuntimeError):
        batch.turn()
    assert (batch.num_rows, batch.pool.num_free) == (0, model.size)
    model.fails = False
    batch.admit(0, line([5, 6, 7]))
    run(batch, written)
    assert written[0] == expected([5, 6, 7], 20)
