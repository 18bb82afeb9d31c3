"""Blocks are taken, shared, known and forgotten; none is lost whatever happens."""

from __future__ import annotations

import random

import pytest

from hanlin.engines.blocks import BLOCK_TOKENS, BlockPool, further_names, names_of, num_blocks

LONG = list(range(3 * BLOCK_TOKENS + 5))


def keep(pool: BlockPool, ids: list[int]) -> list[int]:
    """The blocks of a row that was read to its end."""
    known = pool.find(ids)
    blocks = known + pool.take(num_blocks(len(ids)) - len(known))
    for block, name in zip(blocks, names_of(ids), strict=False):
        pool.know(block, name)
    return blocks


def test_a_row_that_begins_alike_takes_full_blocks_over_and_never_its_last_token() -> None:
    pool = BlockPool(10)
    first = keep(pool, LONG)
    assert pool.find(LONG) == first[:3]
    assert pool.find(LONG[: 2 * BLOCK_TOKENS]) == first[:1], "the last token says what follows, so it is read"
    assert pool.find([9, *LONG]) == []
    assert pool.find([*LONG[:BLOCK_TOKENS], 7, *LONG[BLOCK_TOKENS:]]) == first[:1]
    pool.check_integrity()


def test_what_nobody_uses_stays_known_until_its_place_is_needed() -> None:
    pool = BlockPool(6)
    blocks = keep(pool, LONG)
    pool.leave(blocks)
    assert pool.num_free == 6
    again = pool.find(LONG)
    assert again == blocks[:3]
    pool.leave(again)
    pool.take(4)
    assert pool.find(LONG) == blocks[:2], "the end of a row goes first: its beginning serves more rows"
    pool.check_integrity()


def test_names_of_a_row_are_the_same_in_one_go_and_block_by_block() -> None:
    names = names_of(LONG)
    assert len(names) == 3 == len(set(names))
    assert further_names(names[0], LONG[BLOCK_TOKENS:]) == names[1:]
    assert names_of(LONG[1:])[0] not in names


def test_nothing_is_lost_in_a_thousand_moves() -> None:
    chance, pool, rows = random.Random(5), BlockPool(40), []
    for _ in range(1000):
        ids = [1] * chance.choice((0, 32, 64)) + [chance.randrange(4) for _ in range(chance.randrange(1, 70))]
        if chance.random() < 0.5 and num_blocks(len(ids)) <= pool.num_free:
            rows.append(keep(pool, ids))
        elif rows:
            pool.leave(rows.pop(chance.randrange(len(rows))))
        pool.check_integrity()
    for row in rows:
        pool.leave(row)
    assert pool.num_free == 40
    pool.forget()
    pool.check_integrity()
    assert pool.find(LONG) == []


def test_more_than_there_is_cannot_be_taken() -> None:
    with pytest.raises(AssertionError):
        BlockPool(2).take(3)
