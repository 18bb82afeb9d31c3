"""Distinct English texts for load: about 20 tokens each, or of given lengths. No two are alike, so no cache helps."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path

_WHO = (
    "The customer",
    "Our engineer",
    "A young student",
    "The new manager",
    "My neighbour",
    "The old professor",
    "An angry reviewer",
    "The city council",
)
_DID = ("wrote a long letter about", "asked us to look into", "was very happy with", "complained loudly about", "quickly approved",
        "did not understand", "published a report on", "completely ignored")  # fmt: skip
_WHAT = ("the delayed shipment of the order", "the quarterly budget of the department", "the broken heating in the building",
         "the recent change to the privacy policy", "the quality of the local train service", "the proposal for a larger car park",
         "the results of the second experiment", "the taste of the chocolate cake")  # fmt: skip


def short_texts(count: int) -> list[str]:
    """`count` texts of 18 to 23 tokens in MiniLM's vocabulary."""
    stems = [" ".join(parts) for parts in product(_WHO, _DID, _WHAT)]
    return [f"{stems[number * 37 % len(stems)]} again on day {number}" for number in range(count)]


def mixed_texts(count: int, low: int, high: int, *, seed: int = 0) -> list[str]:
    """`count` texts of `low` to `high` tokens, about evenly spread: common words, one token each."""
    random_ = random.Random(seed)
    words = sorted({word for text in (*_WHO, *_DID, *_WHAT) for word in text.lower().split()})
    return [" ".join(random_.choices(words, k=max(1, random_.randint(low, high) - 2))) for _ in range(count)]


def write_bodies(path: Path, bodies: Sequence[object]) -> Path:
    """One JSON body a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(body) + "\n" for body in bodies), encoding="utf-8")
    return path
