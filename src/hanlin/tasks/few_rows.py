"""Warnings for splits so small that one row decides: said to people, stored beside the figures they qualify."""

from __future__ import annotations

from hanlin.messages.said import Said
from hanlin.types import JsonValue

MAX_POINTS_A_ROW = 1.0


def points_a_row(rows: int) -> float:
    """Points (hundredths) of accuracy that one row is worth."""
    return 100 / max(rows, 1)


def few_test_rows(rows: int) -> Said | None:
    """One test row is worth more than a point."""
    points = points_a_row(rows)
    return Said("few_test_rows", {"rows": rows, "points": f"{points:.1f}"}) if points > MAX_POINTS_A_ROW else None


def few_validation_rows(rows: int) -> Said | None:
    """One validation row is worth more than a point."""
    points = points_a_row(rows)
    return Said("few_validation_rows", {"rows": rows, "points": f"{points:.1f}"}) if points > MAX_POINTS_A_ROW else None


def few_rows_for_budget(rows: int, budget: float) -> Said | None:
    """One validation row is worth more than the whole budget, or with a budget of 0 more than a point."""
    points = points_a_row(rows)
    if points <= (budget or MAX_POINTS_A_ROW):
        return None
    return Said("few_rows_for_budget", {"rows": rows, "points": f"{points:.2g}", "budget": f"{budget:g}"})


def stored(*warnings: Said | None) -> list[JsonValue]:
    """The stored form of those that apply."""
    return [said.to_json() for said in warnings if said is not None]
