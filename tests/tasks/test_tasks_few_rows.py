"""Splits in which one row decides are warned of, in both languages."""

from __future__ import annotations

import pytest

from hanlin.messages.said import Said
from hanlin.tasks.few_rows import few_rows_for_budget, few_test_rows, few_validation_rows, stored


@pytest.mark.parametrize("warning", [few_test_rows, few_validation_rows])
def test_a_row_worth_more_than_a_point_is_warned_of(warning) -> None:
    assert warning(100) is None
    found = warning(99)
    assert "99" in found.text("en") and "1.0 points" in found.text("en")
    assert "99 行" in found.text("zh")


@pytest.mark.parametrize(
    ("rows", "budget", "is_warned"),
    [(22, 0.5, True), (199, 0.5, True), (200, 0.5, False), (22, 5.0, False), (99, 0.0, True), (100, 0.0, False)],
)
def test_a_row_worth_more_than_the_budget_is_warned_of(rows: int, budget: float, is_warned: bool) -> None:
    assert (few_rows_for_budget(rows, budget) is not None) == is_warned


def test_the_warning_says_what_a_row_and_the_budget_are() -> None:
    found = few_rows_for_budget(22, 0.5)
    assert found is not None
    for part in ("22", "4.5", "0.5"):
        assert part in found.text("en") and part in found.text("zh")
    assert [Said.from_json(item) for item in stored(None, found)] == [found]
