"""Quality of meanings: whole meanings, intents, slots with their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from hanlin.tasks.meanings import folded
from hanlin.tasks.metrics import wilson_interval
from hanlin.tasks.ranking_metrics import ScalarMetrics
from hanlin.types import JsonObject, JsonValue


def meaning_metrics(found: Sequence[JsonObject], gold: Sequence[JsonObject]) -> ScalarMetrics:
    """`exact_match`: intent and every slot with its value, none more; `slot_f1`: pairs of slot and value over all rows, intents aside.

    Words count as equal without regard to case, width and space at the ends; numbers by their value.
    """
    assert gold, "metrics of no rows mean nothing"
    pairs = [(_pairs(one), _pairs(other)) for one, other in zip(found, gold, strict=True)]
    intents = [one["intent"] == other["intent"] for one, other in zip(found, gold, strict=True)]
    exact = [is_same and mine == true for is_same, (mine, true) in zip(intents, pairs, strict=True)]
    right, guessed, wanted = (sum(map(len, part)) for part in zip(*((mine & true, mine, true) for mine, true in pairs), strict=True))
    values = {
        "exact_match": float(np.mean(exact)),
        "intent_accuracy": float(np.mean(intents)),
        "slot_f1": 2 * right / (guessed + wanted) if guessed + wanted else 1.0,
    }
    return ScalarMetrics(len(gold), values, wilson_interval(sum(exact), len(exact)))


def _pairs(meaning: JsonObject) -> set[tuple[str, str, object]]:
    return {(slot, *_comparable(value)) for slot, value in cast("JsonObject", meaning["slots"]).items()}


def _comparable(value: JsonValue) -> tuple[str, object]:
    if isinstance(value, str):
        return "words", folded(value)
    return ("truth", value) if isinstance(value, bool) else ("number", value)
