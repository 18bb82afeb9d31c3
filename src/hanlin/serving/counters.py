"""What one replica has counted since its start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hanlin.serving.latency import bucket, new_histogram
from hanlin.tasks.base import Scored


@dataclass(slots=True)
class Counters:
    """What happened since the start.

    Args:
        labels: rows answered by their best label, where the task has labels.
        latency: calls answered by the time they spent here, in the buckets of `serving.latency`.
    """

    calls: int = 0
    refused: int = 0
    failed: int = 0
    expired: int = 0
    cancelled: int = 0
    steps: int = 0
    rows: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    truncated_texts: int = 0
    windowed_texts: int = 0
    engine_s: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)
    latency: list[int] = field(default_factory=new_histogram)

    def answered(self, seconds: float, rows: Sequence[object]) -> None:
        """A call was answered after `seconds` with the decoded `rows`."""
        self.latency[bucket(seconds)] += 1
        for row in rows:
            if isinstance(row, list) and row and isinstance(row[0], Scored):
                self.labels[row[0].label] += 1
