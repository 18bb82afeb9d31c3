"""Rows join and leave while others are written: over a model whose next token is a function of all before it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest

from hanlin.engines.base import step_failed
from hanlin.engines.blocks import BLOCK_TOKENS, num_blocks
from hanlin.engines.constraint_form import refused
from hanlin.engines.drafting import Drafter
from hanlin.engines.openvino_paged import Piece
from hanlin.engines.paged_batch import ALONE, PagedBatch
from hanlin.engines.token_choice import Line
from hanlin.generation import Delta, GenerationSettings
from hanlin.networks.generation.form import Bits, Form
from hanlin.networks.generation.pace import LIMIT

VOCABULARY = 50
STOP = 3
LIKE = [(7 * place) % 40 + 4 for place in range(40)]  # what rows begin with


class Summing:
    """The likeliest token is the sum of all before it, which it reads from its blocks: a block that is mixed up is seen at once."""

    def __init__(self, size: int = 64, next_token: Callable[[Sequence[int]], int] | None = None, token_s: float = 0.1) -> None:
        self.size, self.vocabulary = size, VOCABULARY
        self.following = next_token or following
        self.held = np.full((size, BLOCK_TOKENS), -1)
        self.read: list[int] = []  # tokens of each step
        self.now_s, self.token_s = 0.0, token_s  # a step takes a second, and `token_s` more for each token
        self.fails = False
        self.broken: int | None = None

    def step(self, pieces: Sequence[Piece]) -> list[np.ndarray]:
        if self.fails:
            raise RuntimeError("told to fail")
        self.read.append(sum(len(piece.ids) for piece in pieces))
        self.now_s += 1 + self.read[-1] * self.token_s
        found = []
        for piece in pieces:
            for place, token in enumerate(piece.ids, piece.before):
                self.held[piece.blocks[place // BLOCK_TOKENS], place % BLOCK_TOKENS] = token
            end = piece.before + len(piece.ids)
            ends = range(piece.before + 1, end + 1) if piece.is_wanted_whole else range(end, end + 1)
            scores = np.zeros((len(ends), VOCABULARY), np.float32)
            for place, each in enumerate(ends):
                row = self.held[list(piece.blocks)].reshape(-1)[:each]
                assert (row >= 0).all(), "a token that was never read"
                scores[place, self.following(row.tolist())] = np.nan if self.broken in row else 5
            found.append(scores)
        return found


class Failing:
    """A form that fails as it is asked."""

    def __init__(self, kind: type[Exception]) -> None:
        self.kind = kind

    def allowed(self, written: Sequence[int]) -> Bits:
        raise self.kind("amid a row")

    def may_end(self, written: Sequence[int]) -> bool:
        raise self.kind("amid a row")

    def must_end(self, written: Sequence[int]) -> bool:
        raise self.kind("amid a row")


def following(ids: Sequence[int]) -> int:
    return (sum(ids) * 7 + len(ids)) % VOCABULARY


def expected(row: Sequence[int], length: int) -> list[int]:
    ids = list(row)
    while len(ids) < len(row) + length and (token := following(ids)) != STOP:
        ids.append(token)
    return ids[len(row) :]


def line(row: Sequence[int], length: int = 20) -> Line:
    return Line(GenerationSettings(), tuple(row), frozenset({STOP}), length)


def batch_over(model: Summing, drafter: Drafter | None = None) -> PagedBatch:
    return PagedBatch(model, lambda error: step_failed("openvino-fp32", error), drafter=drafter, clock=lambda: model.now_s)


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


@pytest.mark.parametrize(("size", "shares"), [(7, False), (7, True), (12, True)])
def test_a_row_without_blocks_is_set_back_and_goes_on_as_if_nothing_had_been(size: int, shares: bool) -> None:
    rows = [[*LIKE, *row] for row in rows_of(10, longest=60, seed=4)]
    asked = GenerationSettings(max_new_tokens=60, temperature=1.5, tells=True, likeliest=2, min_new_tokens=50, prefix=(9, 8))

    def written_by(blocks: int) -> tuple[PagedBatch, dict[int, list[Delta]]]:
        model, told = Summing(blocks), {number: [] for number in range(len(rows))}
        batch = batch_over(model)
        for number, row in enumerate(rows):
            seeded = Line(replace(asked, seed=number), tuple(row), frozenset({STOP}), 60)
            batch.admit(number, seeded, shares=shares)
        while batch.num_rows:
            for delta in batch.turn():
                told[delta.number].append(delta)
            batch.pool.check_integrity()
        assert batch.pool.num_free == blocks
        return batch, told

    (tight, narrow), (roomy, wide) = written_by(size), written_by(200)
    assert (tight.num_set_back > 0, roomy.num_set_back) == (True, 0)
    assert narrow.keys() == wide.keys()
    for number in narrow:
        assert [(d.ids, d.finish, d.seen, d.score) for d in narrow[number]] == [(d.ids, d.finish, d.seen, d.score) for d in wide[number]]


def test_the_oldest_row_is_never_set_back_and_who_was_goes_first() -> None:
    model, order = Summing(size=num_blocks(100) + 2), []
    batch = batch_over(model)
    for number, row in enumerate(([5] * 40, [6] * 30, [7] * 8)):
        batch.admit(number, Line(GenerationSettings(), tuple(row), frozenset(), 60))
    while not batch.num_set_back:
        order += [(delta.number, delta.finish) for delta in batch.turn()]
    assert not any(finish for _, finish in order)
    told = len(order)
    batch.admit(3, line([9, 9, 9], 5))
    while batch.num_rows:
        order += [(delta.number, delta.finish) for delta in batch.turn()]
    assert [number for number, finish in order if finish and number < 3] == [0, 1, 2]
    assert order.index((2, None), told) < order.index((3, None)), "who was set back begins again before one that never began"


def test_a_long_row_is_read_in_pieces_beside_those_that_are_written() -> None:
    model, written = Summing(size=200, token_s=0.05), {}
    batch = batch_over(model)
    batch.admit(0, Line(GenerationSettings(max_new_tokens=60), (5, 6, 7), frozenset(), 60))
    batch.turn()
    long = rows_of(1, seed=9)[0] * 40
    batch.admit(1, line(long[:900], 3))
    turns_s = []
    while batch.num_rows > 1:
        begun_s = model.now_s
        for delta in batch.turn():
            written.setdefault(delta.number, []).extend(delta.ids)
        turns_s.append(model.now_s - begun_s)
    plain_s = 1 + model.token_s
    assert sorted(turns_s[:50])[-3] <= LIMIT * plain_s < sorted(turns_s[:50])[-3] + 0.2, "the first pieces are guesses"
    assert statistics.mode(model.read[2:50]) == 12 + 1, "the next size would be 16"
    run(batch, written)
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


class GivenUp:
    """A form that takes too much work, at once or when a token has been written."""

    def __init__(self, *, at_once: bool) -> None:
        self.at_once = at_once

    def allowed(self, written: Sequence[int]) -> np.ndarray:
        if self.at_once:
            raise refused("too much work")
        return np.full(VOCABULARY // 8 + 1, 255, np.uint8)

    def may_end(self, written: Sequence[int]) -> bool:
        return True

    def must_end(self, written: Sequence[int]) -> bool:
        raise refused("too much work")


@pytest.mark.parametrize("at_once", [True, False])
def test_a_form_that_is_given_up_ends_its_row_alone(at_once: bool) -> None:
    batch, written = batch_over(Summing()), {}
    form: Future[Form] = Future()
    form.set_result(GivenUp(at_once=at_once))
    batch.admit(0, line([5, 6], 4), form)
    batch.admit(1, line([5, 6], 4))
    ends = run(batch, written)
    assert (ends[0].finish, getattr(ends[0].error, "code", "")) == ("cancelled", "constraint_refused")
    assert (written[1], batch.num_rows) == (expected([5, 6], 4), 0)
    batch.pool.check_integrity()


def test_one_row_fails_alone() -> None:
    model, written = Summing(), {}
    model.broken = 11
    batch = batch_over(model)
    batch.admit(0, line([5, 6], 4))
    batch.admit(1, line([5, 11], 4))
    batch.admit(2, line([5, VOCABULARY], 4))
    batch.admit(3, line([5], 0))
    for number, error in [(4, RecursionError("of whoever made it")), (5, BaseException("a panic"))]:
        form: Future[Form] = Future()
        form.set_exception(error)
        batch.admit(number, line([5, 6], 4), form)
    for number, failure in [(6, RuntimeError), (7, ValueError)]:
        form = Future()
        form.set_result(Failing(failure))
        batch.admit(number, line([5, 6], 4), form)
    ends = run(batch, written)
    assert written[0][:2] == expected([5, 6], 2)
    for number in (1, 2, 4, 5, 6, 7):
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
