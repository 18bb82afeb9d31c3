"""Token ids on disk: blocks that hold every token, a shuffle without a list, batches of an epoch."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from hanlin.errors import Cancelled
from hanlin.training.streams import Batches, Blocks, SameLength, TokenFile, epoch_batches, shuffled, write_tokens


def _letters(texts: list[str]) -> Iterator[Sequence[int]]:
    return ([ord(letter) for letter in text] for text in texts)


def _spell(ids: Sequence[int]) -> str:
    return "".join(map(chr, ids))


def test_texts_follow_each_other_with_their_end_between(tmp_path: Path) -> None:
    tokens = write_tokens(["one", "two", "three"], _letters, tmp_path, end=[ord("|")])
    assert _spell(tokens.read(0, len(tokens)).tolist()) == "one|two|three|"
    assert list(tmp_path.iterdir()) == []  # a file without a name


@pytest.mark.parametrize("total", range(1, 25))
def test_blocks_hold_every_token_once(tmp_path: Path, total: int) -> None:
    tokens = TokenFile(tmp_path)
    tokens.add(range(total))
    blocks = Blocks(tokens, 5)
    rows = [blocks.row(number).tolist() for number in range(len(blocks))]
    assert [token for row in rows for token in row] == list(range(total))
    assert {len(row) for row in rows[:-1]} <= {5}


@pytest.mark.parametrize("total", range(2, 25))
def test_with_a_step_of_one_less_every_token_but_the_first_is_a_target_once(tmp_path: Path, total: int) -> None:
    tokens = TokenFile(tmp_path)
    tokens.add(range(total))
    blocks = Blocks(tokens, 5, step=4)
    assert [token for number in range(len(blocks)) for token in blocks.row(number).tolist()[1:]] == list(range(1, total))


def test_no_tokens_no_blocks(tmp_path: Path) -> None:
    assert len(Blocks(TokenFile(tmp_path), 5)) == 0


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 65, 1000])
def test_a_shuffle_names_everything_once(count: int) -> None:
    assert sorted(shuffled(place, count, "key") for place in range(count)) == list(range(count))


def test_a_shuffle_depends_on_its_key_and_moves_things_far() -> None:
    first, second = ([shuffled(place, 10_000, key) for place in range(10_000)] for key in ("0/0", "0/1"))
    assert first != second
    assert first == [shuffled(place, 10_000, "0/0") for place in range(10_000)]
    assert 3000 < sum(abs(found - place) for place, found in enumerate(first)) / 10_000 < 3667  # a fair shuffle: a third, 3333
    neighbours = sum(abs(one - other) == 1 for one, other in pairwise(first))
    assert neighbours < 20  # a fair shuffle leaves 2


def test_every_place_is_as_likely_as_any_other() -> None:
    found = Counter(shuffled(0, 8, f"{seed}/0") for seed in range(4000))
    assert sorted(found) == list(range(8))
    assert all(400 < times < 600 for times in found.values())


def test_the_batches_of_an_epoch_hold_each_row_once() -> None:
    batches = epoch_batches(103, length=128, seed=3, epoch=1, batch_tokens=1280, batch_size=64)
    assert [len(batch) for batch in batches] == [10] * 10 + [3]
    assert sorted(row for batch in batches for row in batch) == list(range(103))
    assert batches[2:4] == [batches[2], batches[3]]
    assert batches[0] != epoch_batches(103, length=128, seed=3, epoch=2, batch_tokens=1280, batch_size=64)[0]
    with pytest.raises(IndexError):
        batches[11]


def test_plans_of_a_billion_blocks_take_no_memory() -> None:
    tracemalloc.start()
    batches, lengths = Batches(10**9, 64, "0/0"), SameLength(128, 10**9)
    assert len({*batches[0], *batches[10**7]}) == 128
    assert lengths[10**9 - 1] == 128
    assert tracemalloc.get_traced_memory()[1] < 200_000
    tracemalloc.stop()


def test_texts_are_read_as_they_are_written_and_not_held(tmp_path: Path) -> None:
    def texts() -> Iterator[str]:
        for number in range(4000):
            yield f"{number:06}" * 500

    tracemalloc.start()
    tokens = write_tokens(texts(), lambda chunk: [[len(text)] * 10 for text in chunk], tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(tokens) == 40_000
    assert peak < 4_000_000  # the texts together are 12 million characters


def test_writing_can_be_stopped(tmp_path: Path) -> None:
    def stop() -> None:
        raise Cancelled("job_cancelled")

    with pytest.raises(Cancelled):
        write_tokens(["text"], _letters, tmp_path, check=stop)


def test_the_same_length_many_times() -> None:
    lengths = SameLength(7, 4)
    assert (sum(lengths), list(lengths[1:3]), lengths[-1]) == (28, [7, 7], 7)
    with pytest.raises(IndexError):
        lengths[4]
