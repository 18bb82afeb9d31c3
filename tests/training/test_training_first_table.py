"""A new encoder's token table: tokens that stand among the same others begin alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cosine_similarity

from hanlin.training import first_table
from hanlin.training.first_table import start_table
from hanlin.training.streams import TokenFile

VOCABULARY, SIZE = 40, 12
FIRST, SECOND = (5, 6), (7, 8)  # two pairs of tokens, each pair among words of its own
RARE, UNSEEN = 9, 39


def written(folder: Path, count: int = 3000) -> TokenFile:
    """Texts in which each of a pair stands among the same words, drawn by a seed."""
    random = torch.Generator().manual_seed(1)
    tokens = TokenFile(folder)
    for number in range(count):
        own, words = (FIRST, range(10, 20)) if number % 2 else (SECOND, range(20, 30))
        around = [words[int(torch.randint(10, (1,), generator=random))] for _ in range(4)]
        tokens.add([*around[:2], own[int(torch.randint(2, (1,), generator=random))], *around[2:], 3])
    tokens.add([RARE])
    return tokens


def table() -> torch.Tensor:
    return torch.randn(VOCABULARY, SIZE, generator=torch.Generator().manual_seed(0)) * 0.02


def alike(found: torch.Tensor, one: int, other: int) -> float:
    return float(cosine_similarity(found[one], found[other], dim=0))


def test_tokens_of_the_same_neighbours_begin_alike(tmp_path: Path) -> None:
    found, before = table(), table()
    known = start_table(found, written(tmp_path), seed=0)
    assert known == 25
    assert min(alike(found, *FIRST), alike(found, *SECOND)) > 0.9
    assert max(alike(found, one, other) for one in FIRST for other in SECOND) < 0.3
    assert torch.equal(found[RARE], before[RARE]) and torch.equal(found[UNSEEN], before[UNSEEN])
    counted = [*FIRST, *SECOND, 3, *range(10, 30)]
    assert float(found[counted].std()) == pytest.approx(first_table.SPREAD * float(before.std()), rel=0.05)
    assert float(found[counted].mean(0).abs().max()) < 1e-6


def test_the_same_text_and_seed_give_the_same_table_and_leave_the_generator_alone(tmp_path: Path) -> None:
    tokens, one, other = written(tmp_path), table(), table()
    state = torch.random.get_rng_state()
    start_table(one, tokens, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(5)
    start_table(other, tokens, seed=3)
    assert torch.equal(one, other)


def test_counts_do_not_depend_on_how_the_text_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = torch.from_numpy(written(tmp_path, 200).read(0, 10**6).astype("int64"))
    rows = torch.arange(VOCABULARY)
    whole = first_table._neighbours(ids, rows, rows, VOCABULARY)
    by_hand = torch.zeros(VOCABULARY, VOCABULARY)
    for place in range(len(ids)):
        for distance in range(1, first_table.WINDOW + 1):
            for other in (place - distance, place + distance):
                if 0 <= other < len(ids):
                    by_hand[ids[place], ids[other]] += 1 / distance
    assert torch.allclose(whole, by_hand, rtol=1e-4)
    monkeypatch.setattr(first_table, "_CHUNK", 7)
    assert torch.allclose(first_table._neighbours(ids, rows, rows, VOCABULARY), by_hand, rtol=1e-4)


def test_text_that_says_nothing_leaves_the_table(tmp_path: Path) -> None:
    found = table()
    tokens = TokenFile(tmp_path)
    assert start_table(found, tokens, seed=0) == 0
    tokens.add([4] * 50)
    assert start_table(found, tokens, seed=0) == 0
    assert torch.equal(found, table())


def test_a_table_wider_than_the_counts_keeps_its_other_columns(tmp_path: Path) -> None:
    wide = torch.randn(VOCABULARY, 64, generator=torch.Generator().manual_seed(0)) * 0.02
    before = wide.clone()
    assert start_table(wide, written(tmp_path), seed=0) == 25
    assert torch.equal(wide[:, 25:], before[:, 25:]) and not torch.equal(wide[FIRST[0], :25], before[FIRST[0], :25])
