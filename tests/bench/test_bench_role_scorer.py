"""Role figures against what CoNLL-2005's scorer said of the same props: `scored/`, written by `bench/role_scorer.py --record`."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench"
GOLD, FOUND, SAID = (Path(__file__).parent / "scored" / name for name in ("gold.props", "found.props", "srl-eval.txt"))


@pytest.fixture(scope="module")
def scorer() -> ModuleType:
    sys.path.insert(0, str(BENCH))
    try:
        import role_scorer
    finally:
        sys.path.remove(str(BENCH))
    return role_scorer


def test_counts_are_those_of_the_official_scorer(scorer: ModuleType) -> None:
    said = scorer.read(SAID.read_text())
    assert len(said) == 10
    assert said["Overall"] == (55, 33, 48)
    assert scorer.differing(said, GOLD, FOUND) == []


def test_the_recorded_pair_is_one_of_those_compared(scorer: ModuleType) -> None:
    assert scorer.pair(scorer.RECORDED) == (GOLD.read_text(), FOUND.read_text())


def test_another_count_and_a_role_too_many_are_told(scorer: ModuleType) -> None:
    said = scorer.read(SAID.read_text())
    assert [line.partition(":")[0] for line in scorer.differing(said | {"A0": (10, 4, 12)}, GOLD, FOUND)] == ["A0"]
    del said["R-A1"]
    assert [line.partition(":")[0] for line in scorer.differing(said, GOLD, FOUND)] == ["R-A1"]


def test_the_scorer_gets_the_files_without_words(scorer: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "echo.pl").write_text("print while <>;")
    said = scorer.official(tmp_path / "echo.pl", GOLD, FOUND)
    assert said.splitlines()[:4] == [line.partition("\t")[2] for line in GOLD.read_text().splitlines()[:4]]
    assert said.count("\n\n") == 40
