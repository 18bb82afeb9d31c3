"""Models that learned nothing of use are told as such beside their figures."""

from __future__ import annotations

import numpy as np
import pytest

from hanlin.messages.said import Said
from hanlin.tasks.label_metrics import multi_label_metrics
from hanlin.tasks.metrics import classification_metrics
from hanlin.tasks.ranking_metrics import ScalarMetrics
from hanlin.tasks.span_metrics import SpanRow, metrics_of
from hanlin.types import JsonObject

GOLD = np.array([0] * 60 + [1] * 40 + [2] * 20)


def codes(found: JsonObject) -> list[str]:
    return [said.code for item in found["warnings"] if (said := Said.from_json(item))]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (np.zeros(120, dtype=int), ["no_better_than_constant"]),  # the constant itself
        (np.where(np.arange(120) < 59, GOLD, 0), ["no_better_than_constant"]),
        (np.where(np.arange(120) == 60, 1, 0), []),  # one row better
        (np.full(120, 2), ["no_better_than_constant"]),
    ],
)
def test_a_classifier_is_held_against_the_most_frequent_label(said, expected: list[str]) -> None:
    assert codes(classification_metrics(np.eye(3)[said], GOLD, ["a", "b", "c"]).to_json()) == expected


def test_rows_of_one_label_tell_nothing() -> None:
    assert codes(classification_metrics(np.eye(2)[[0] * 120], np.zeros(120, dtype=int), ["a", "b"]).to_json()) == []


@pytest.mark.parametrize(("found", "expected"), [(set(), ["nothing_found_right"]), ({("PER", 0, 1)}, [])])
def test_a_tagger_that_finds_nothing_is_told(found, expected: list[str]) -> None:
    rows = [SpanRow(found, {("PER", 0, 1)}, 3, 4)] * 120
    assert codes(metrics_of(rows).to_json()) == expected
    assert codes(metrics_of([SpanRow(found, set(), 3, 4)] * 120).to_json()) == []  # there was nothing to find


def test_labels_that_never_pass_are_told() -> None:
    gold = np.array([[True, False], [False, True]] * 60)
    none, all_right = (multi_label_metrics(gold * 0.4, passes, gold, ["a", "b"]).to_json() for passes in (np.zeros_like(gold), gold))
    assert (codes(none), codes(all_right)) == (["nothing_found_right"], [])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"exact_match": 0.0, "slot_f1": 0.5}, ["no_answer_right"]),
        ({"exact_match": 0.1, "slot_f1": 0.0}, []),
        ({"f1": 0.0, "exact": 0.0}, ["no_answer_right"]),
        ({"f1": 0.2, "exact": 0.0}, []),
        ({"chrf": 0.0}, []),
    ],
)
def test_a_parser_of_which_no_answer_is_right_is_told(values: dict[str, float], expected: list[str]) -> None:
    assert codes(ScalarMetrics(200, values, (0.0, 0.1)).to_json()) == expected
