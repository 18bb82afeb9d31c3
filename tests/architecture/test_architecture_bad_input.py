"""docs/bad-input.md: each row names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [line for line in (ROOT / "docs" / "bad-input.md").read_text(encoding="utf-8").splitlines() if re.match(r"\| C\d{3} \|", line)]
CASES = [
    f"C{number:03}"
    for number in (1, 2, 4, 5, 6, 8, 9, 10, 11, 13, 14, 15, 16, 18, 19, 21, 22, 24, 25, 28, 29, 30, 31, 32, 33, 34, 36, 38, 141, 142)
]


def test_each_case_has_a_row() -> None:
    assert sorted({row[2:6] for row in ROWS}) == CASES


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:6])
def test_each_row_names_tests_that_exist(row: str) -> None:
    named = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`", row)
    assert named
    for file, name in named:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), (file, name)
