"""Role figures against what the scorers of CoNLL-2005 and CoNLL-2009 said of the same files: `scored/`, written with `--record`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"
SCORED = Path(__file__).parent / "scored"
OVERALL = {"role_scorer": (55, 88, 103), "sense_scorer": (138, 177, 206)}


@pytest.fixture(params=OVERALL)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def scorer(name: str) -> Any:
    sys.path.insert(0, str(BENCH))
    try:
        return importlib.import_module(name).SCORER
    finally:
        sys.path.remove(str(BENCH))


@pytest.fixture
def counts(scorer: Any) -> dict[str, tuple[int, int, int]]:
    return scorer.counts((SCORED / scorer.said).read_text())  # type: ignore[no-any-return]


def files(scorer: Any) -> list[Path]:
    return [SCORED / f"{name}{scorer.suffix}" for name in ("gold", "found")]


def test_counts_are_those_of_the_official_scorer(name: str, scorer: Any, counts: dict[str, tuple[int, int, int]]) -> None:
    assert len(counts) >= 10
    assert counts["Overall"] == OVERALL[name]
    assert scorer.differing(counts, *files(scorer)) == []


def test_the_recorded_pair_is_one_of_those_compared(scorer: Any) -> None:
    assert list(scorer.pair(scorer.recorded)) == [path.read_text() for path in files(scorer)]


def test_another_count_and_a_role_too_many_are_told(scorer: Any, counts: dict[str, tuple[int, int, int]]) -> None:
    right, found, true = counts["A0"]
    assert [line.partition(":")[0] for line in scorer.differing(counts | {"A0": (right, found, true + 1)}, *files(scorer))] == ["A0"]
    del counts["R-A0"]
    assert [line.partition(":")[0] for line in scorer.differing(counts, *files(scorer))] == ["R-A0"]


@pytest.mark.parametrize("name", ["role_scorer"])
def test_srl_eval_gets_the_files_without_words(scorer: Any, tmp_path: Path) -> None:
    (tmp_path / "echo.pl").write_text("print while <>;")
    said = scorer.run(tmp_path / "echo.pl", *files(scorer))
    assert said.splitlines()[:4] == [line.partition("\t")[2] for line in files(scorer)[0].read_text().splitlines()[:4]]
    assert said.count("\n\n") == 40
