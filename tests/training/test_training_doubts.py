"""Confident learning: the paper's counts by hand, planted wrong labels found among right ones, silence where nothing can be learnt."""

from __future__ import annotations

import random

import numpy as np
import pytest

from hanlin.tasks.labelled import Gold
from hanlin.training.confident import find_suspects
from hanlin.training.doubts import Doubts, find_doubts

GOOD, BAD, ODD = ("good", "fine", "lovely", "clean"), ("bad", "poor", "dirty", "rude"), ("green", "blue", "red", "grey")
REST = ("room", "door", "people", "street", "water", "table", "night", "price")


def single(*labels: str) -> list[Gold]:
    return [Gold("single-label", (label,)) for label in labels]


def texts_of(kinds: list[tuple[str, ...]]) -> list[str]:
    chance = random.Random(4)
    return [" ".join([*chance.sample(REST, 2), *chance.sample(kind, 3), f"n{place}"]) for place, kind in enumerate(kinds)]


def doubts_of(texts: list[str], golds: list[Gold]) -> Doubts:
    found = find_doubts(texts, golds, np.arange(len(texts)))
    assert found is not None
    return found


def test_a_row_counts_for_the_class_whose_mean_it_reaches() -> None:
    chances = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.9, 0.1]])
    given = np.array([0, 0, 0, 1, 1])
    # Means of own labels: (0.9 + 0.6 + 0.2) / 3 = 0.567 and (0.7 + 0.1) / 2 = 0.4. Row 1 reaches both, and its first is more probable.
    found = find_suspects(chances, given)
    assert found.rows.tolist() == [4, 2]
    assert found.others.tolist() == [0, 1]
    assert found.leads.tolist() == pytest.approx([0.8, 0.6])
    assert found.joint.tolist() == [[2, 1], [1, 1]]


def test_a_class_without_rows_draws_none() -> None:
    found = find_suspects(np.array([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1]]), np.array([0, 0]))
    assert found.rows.tolist() == []


def test_flipped_labels_come_first() -> None:
    kinds = [GOOD, BAD, ODD] * 100
    right = ["good", "bad", "odd"] * 100
    wrong = {7: "good", 30: "odd", 100: "odd", 200: "good"}
    found = doubts_of(texts_of(kinds), single(*(wrong.get(place, label) for place, label in enumerate(right))))
    assert {(doubt.row, doubt.given, doubt.other) for doubt in found.doubts[:6]} >= {
        (row, label, right[row]) for row, label in wrong.items()
    }
    assert found.right > 0.95
    assert found.plain == pytest.approx(1 / 3, abs=0.02)
    assert sum(rows for _, _, rows in found.confusions) == len(found.doubts)


def test_of_several_labels_each_may_be_missing_or_too_many() -> None:
    kinds = [GOOD, BAD, GOOD + BAD] * 60
    right = [("good",), ("bad",), ()] * 60
    golds = [Gold("multi-label", labels) for labels in right]
    golds[0], golds[1] = Gold("multi-label", ()), Gold("multi-label", ("bad", "good"))
    kinds[2::3] = [ODD] * 60
    found = doubts_of(texts_of(kinds), golds)
    assert {(doubt.row, doubt.given, doubt.other) for doubt in found.doubts[:2]} == {(0, "", "good"), (1, "good", "")}


def test_nothing_is_doubted_where_nothing_can_be_learnt() -> None:
    chance = random.Random(1)
    texts = [f"n{place}" for place in range(200)]
    found = doubts_of(texts, single(*(chance.choice(["a", "a", "b"]) for _ in texts)))
    assert (found.doubts, found.confusions) == ((), ())
    assert found.rows == 200


@pytest.mark.parametrize("golds", [[], [Gold("regression", score=0.5)] * 40, single(*["a"] * 40), single(*["a"] * 36, "b", "b", "c", "c")])
def test_scores_and_labels_of_few_rows_are_not_judged(golds: list[Gold]) -> None:
    assert find_doubts(["x"] * len(golds), golds, np.arange(len(golds))) is None


def test_near_twins_do_not_vouch_for_each_other() -> None:
    texts = texts_of([GOOD, BAD] * 40) + ["n999 rude dirty poor"] * 2
    golds = single(*["good", "bad"] * 40, "good", "good")
    groups = np.append(np.arange(80), [80, 80])
    found = find_doubts(texts, golds, groups)
    assert found is not None
    assert {doubt.row for doubt in found.doubts} >= {80, 81}
