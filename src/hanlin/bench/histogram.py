"""Latencies in buckets that grow with the value: any percentile within 1 % in a few kilobytes, however many were counted.

Source: the log-linear layout of HdrHistogram: 64 buckets of equal width in every power of two. We store microseconds.
"""

from __future__ import annotations

from collections import Counter

_BITS = 6
_LINEAR = 1 << (_BITS + 1)  # below this every microsecond has a bucket of its own


class Histogram:
    """Counts seconds."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._sum_s = 0.0
        self.count = 0
        self.max_s = 0.0

    def record(self, seconds: float) -> None:
        """Count one value; negative ones count as none."""
        seconds = max(0.0, seconds)
        self._buckets[_bucket(int(seconds * 1e6))] += 1
        self.count += 1
        self._sum_s += seconds
        self.max_s = max(self.max_s, seconds)

    @property
    def mean_s(self) -> float:
        """The mean; 0 of nothing."""
        return self._sum_s / self.count if self.count else 0.0

    def quantile_s(self, share: float) -> float:
        """The value that `share` (0..1) of all values do not exceed, as the middle of its bucket; 0 of nothing."""
        wanted = max(1, round(share * self.count))
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                low, high = _edges(bucket)
                return min((low + high) / 2e6, self.max_s)
        return 0.0

    def to_json(self) -> dict[str, float]:
        """Milliseconds by name."""
        names = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p999_ms": 0.999}
        found = {name: round(self.quantile_s(share) * 1000, 3) for name, share in names.items()}
        return {**found, "mean_ms": round(self.mean_s * 1000, 3), "max_ms": round(self.max_s * 1000, 3)}


def _bucket(micros: int) -> int:
    if micros < _LINEAR:
        return micros
    shift = micros.bit_length() - _BITS - 1
    return (shift << _BITS) + (micros >> shift)


def _edges(bucket: int) -> tuple[int, int]:
    """Lowest microsecond of a bucket, and of the next."""
    if bucket < _LINEAR:
        return bucket, bucket + 1
    shift = (bucket >> _BITS) - 1
    low = (bucket - (shift << _BITS)) << shift
    return low, low + (1 << shift)
