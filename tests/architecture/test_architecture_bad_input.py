"""docs/bad-input.md: each row names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [line for line in (ROOT / "docs" / "bad-input.md").read_text(encoding="utf-8").splitlines() if re.match(r"\| C\d{3} \|", line)]
CASES = (
    "C001 C002 C004 C005 C006 C008 C009 C010 C011 C013 C014 C015 C016 C018 C019 C021 C022 C024 C025 C028 C029 C030 C031 C032 C033 C034 C036 "
    "C038 C141 C142"
).split()


def test_each_case_has_a_row() -> None:
    assert sorted({row[2:6] for row in ROWS}) == CASES


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:6])
def test_each_row_names_tests_that_exist(row: str) -> None:
    named = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`", row)
    assert named
    for file, name in named:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), (file, name)
