"""Which variant is served, out of what was measured of all of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from hanlin.compression.report import Target, VariantEvidence
from hanlin.engines import REFERENCE

NEARLY_AS_GOOD = 1.1  # a tenth is within what a busy machine adds; an answer closer to the trained model is worth it


def choose(rows: Sequence[VariantEvidence], target: Target, *, reference: str = REFERENCE) -> str:
    """The best variant whose status is ok, of those nearly as good the one closest to the trained model; else the reference."""
    ok = [row for row in rows if row.status == "ok" and row.latency_p50_ms is not None and row.throughput_rows_s is not None]
    if not ok:
        return reference
    best = min(_cost(row, target) for row in ok)
    near = [row for row in ok if _cost(row, target) <= best * NEARLY_AS_GOOD]
    return min(near, key=lambda row: (1.0 if row.max_score_difference is None else row.max_score_difference, _cost(row, target))).variant


def _cost(row: VariantEvidence, target: Target) -> float:
    if target == "throughput":
        return 1.0 / max(row.throughput_rows_s or 0.0, 1e-9)
    if target == "latency":
        return row.latency_p50_ms or 0.0
    return float(row.memory_bytes if row.memory_bytes is not None else 2**62)
