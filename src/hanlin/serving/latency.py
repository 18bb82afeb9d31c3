"""Latencies counted in fixed buckets: cheap to count, to add up over processes, and to read percentiles from. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

_GROWTH = 1.25  # a percentile is right to a quarter
EDGES_S = tuple(0.0005 * _GROWTH**number for number in range(56))  # 0.5 ms to 107 s; one more bucket for what is longer


def new_histogram() -> list[int]:
    """Counts by bucket, all zero."""
    return [0] * (len(EDGES_S) + 1)


def bucket(seconds: float) -> int:
    """Number of the bucket of a latency."""
    return bisect_left(EDGES_S, seconds)


def percentile_s(histogram: Sequence[int], share: float) -> float | None:
    """The upper edge of the bucket that holds the `share` (0..1) of the calls; None without calls."""
    total = sum(histogram)
    if not total:
        return None
    rank = share * total
    number = next(index for index, count in enumerate(accumulate(histogram)) if count >= rank and count)
    return EDGES_S[min(number, len(EDGES_S) - 1)]
