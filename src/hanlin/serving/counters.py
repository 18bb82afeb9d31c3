"""What one replica has counted since its start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hanlin.serving.filling import Batch
from hanlin.serving.latency import bucket, new_histogram
from hanlin.tasks.base import Scored


@dataclass(slots=True)
class Counters:
    """What happened since the start.

    Args:
        written_tokens: that came from the engine, whatever became of their calls.
        first_tokens: rows whose first token came while they were being written; first_token_s: how long these took since their calls
            came, all together.
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
    written_tokens: int = 0
    first_tokens: int = 0
    first_token_s: float = 0.0
    engine_s: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)
    latency: list[int] = field(default_factory=new_histogram)

    def add_step(self, batch: Batch, seconds: float) -> None:
        """Count a finished engine step; `seconds`: its share of them, when others ran beside it."""
        self.steps += 1
        self.rows += len(batch.items)
        self.tokens += batch.tokens
        self.padded_tokens += batch.padded_tokens
        self.engine_s += seconds

    def add_read(self, length: int) -> None:
        """Count the tokens of a row that is read without padding."""
        self.tokens += length
        self.padded_tokens += length

    def values(self) -> dict[str, float]:
        """Plain numbers by the name of the metric. `padding_share` is that of all steps so far."""
        return {
            "calls_total": self.calls, "answered_total": sum(self.latency),
            "refused_total": self.refused, "failed_total": self.failed, "expired_total": self.expired,
            "cancelled_total": self.cancelled, "steps_total": self.steps, "rows_total": self.rows, "tokens_total": self.tokens,
            "padded_tokens_total": self.padded_tokens, "engine_seconds_total": self.engine_s,
            "truncated_texts_total": self.truncated_texts, "windowed_texts_total": self.windowed_texts,
            "written_tokens_total": self.written_tokens, "first_tokens_total": self.first_tokens,
            "first_token_seconds_total": self.first_token_s,
            "padding_share": 1 - self.tokens / self.padded_tokens if self.padded_tokens else 0.0,
        }  # fmt: skip

    def answered(self, seconds: float, rows: Sequence[object]) -> None:
        """A call was answered after `seconds` with the decoded `rows`."""
        self.latency[bucket(seconds)] += 1
        for row in rows:
            if isinstance(row, list) and row and isinstance(row[0], Scored):
                self.labels[row[0].label] += 1
