"""Warnings of models that learned nothing of use: said to people, stored beside the figures that tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hanlin.messages.said import Said

_ALL_OR_NOTHING = ("execution_accuracy", "exact_match", "accuracy")  # an answer is right or it is not


def no_better_than_constant(accuracy: float, support: Sequence[int]) -> Said | None:
    """Who always says the most frequent label is right as often.

    Args:
        support: gold rows of each label; rows of one label alone tell nothing.
    """
    if sum(count > 0 for count in support) < 2 or accuracy > (constant := max(support) / sum(support)):
        return None
    return Said("no_better_than_constant", {"accuracy": f"{100 * accuracy:.1f}", "constant": f"{100 * constant:.1f}"})


def nothing_found_right(f1: float, support: int) -> Said | None:
    """There was something to find."""
    return Said("nothing_found_right", {"support": support}) if support and f1 == 0 else None


def no_answer_right(rows: int, values: Mapping[str, float]) -> Said | None:
    """By the figure of these that counts whole answers, or by F1."""
    found = next((values[name] for name in (*_ALL_OR_NOTHING, "f1") if name in values), None)
    return Said("no_answer_right", {"rows": rows}) if found == 0 else None
