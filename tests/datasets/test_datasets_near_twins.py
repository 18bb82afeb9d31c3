"""Near-twins by MinHash: all that were planted, none that is only of the same words, the likeness exactly as counted by hand."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import numpy as np
import pytest

from hanlin.datasets.near_twins import NearTwinFinder, NearTwins
from hanlin.datasets.shingles import shingles_of

SIGNS = [chr(0x4E00 + number) for number in range(600)]
WORDS = [
    f"{first}{last}" for first in ("ba", "co", "du", "fe", "gi", "lo") for last in ("ran", "sel", "tim", "vor", "wud", "xip", "yen", "zak")
]


def find(folder: Path, *batches: list[str], likeness: float = 0.7) -> NearTwins:
    finder = NearTwinFinder(folder, likeness=likeness)
    for batch in batches:
        finder.add(batch)
    return finder.find()


def by_hand(one: str, other: str) -> float:
    def shingles(text: str) -> set[tuple[str, ...]]:
        units = re.findall(r"[\u4e00-\u9fff]|[a-z0-9]+", text.lower())
        alone = {(unit,) for unit in units if unit.isascii() or len(units) == 1}
        return alone | set(itertools.pairwise(units))

    first, second = shingles(one), shingles(other)
    return len(first & second) / len(first | second)


@pytest.mark.parametrize(("units", "between"), [(SIGNS, ""), (WORDS, " ")], ids=["zh", "en"])
def test_planted_copies_are_found_and_nothing_else(tmp_path: Path, units: list[str], between: str) -> None:
    chance = random.Random(5)
    rows = [[chance.choice(units) for _ in range(chance.randint(18, 40))] for _ in range(900)]
    planted = {}
    for row in range(0, 900, 30):
        copy = list(rows[row])
        copy[chance.randrange(len(copy))] = chance.choice(units)
        planted[len(rows)] = row
        rows.append(copy)
    texts = [between.join(row) for row in rows]
    found = find(tmp_path, texts[:500], texts[500:])
    likeness = {second: by_hand(texts[first], texts[second]) for second, first in planted.items()}
    wanted = {(first, second) for second, first in planted.items() if likeness[second] >= 0.7}
    assert len(wanted) >= 28
    assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == wanted
    assert [round(value, 5) for value in found.likeness.tolist()] == [
        round(likeness[second], 5) for _, second in zip(found.first, found.second.tolist(), strict=True)
    ]
    assert (found.rows, found.groups, found.largest) == (len(wanted), len(wanted), 2)


def test_case_width_signs_and_spaces_do_not_count(tmp_path: Path) -> None:
    texts = ["Ｈotel  was GREAT, really great!!", "hotel was great really great", "房间 很 干净。", "房间很干净", "房间很脏"]
    found = find(tmp_path, texts, likeness=1.0)
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [(0, 1), (2, 3)]
    assert found.leaders.tolist() == [0, 0, 2, 2, 4]


def test_chains_are_one_group_and_the_very_same_text_counts_once(tmp_path: Path) -> None:
    words = [f"w{place}" for place in range(14)]
    chain = [" ".join([*words[:place], "x", *words[place + 1 :]]) for place in (0, 13)]
    texts = [chain[0], "", "!?", " ".join(words), chain[1], chain[1], chain[1]]
    found = find(tmp_path, texts)
    assert found.leaders.tolist() == [0, 1, 2, 0, 0, 5, 6]
    assert (found.rows, found.groups, found.largest) == (2, 1, 3)
    assert [(pair.first, pair.second) for pair in found.likest(1)] == [(0, 3)]
    assert found.likest(9, np.zeros(len(found.first), dtype=bool)) == []


@pytest.mark.parametrize("texts", [[], [""], ["?", "!"], ["only one"]])
def test_nothing_to_compare(tmp_path: Path, texts: list[str]) -> None:
    found = find(tmp_path, texts)
    assert (found.rows, found.groups, found.largest, len(found.leaders)) == (0, 0, 0, len(texts))


def test_texts_do_not_run_into_each_other() -> None:
    alone = [shingles_of([text]).hashes.tolist() for text in ("ab cd", "ef", "好坏", "gh")]
    found = shingles_of(["ab cd", "ef", "好坏", "gh"])
    assert [found.hashes[low:high].tolist() for low, high in zip(found.starts[:-1], found.starts[1:], strict=True)] == alone
    assert found.sizes.tolist() == [3, 1, 1, 1]
