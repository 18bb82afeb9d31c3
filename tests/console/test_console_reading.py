"""What was stored oddly, or by another version, is shown as nothing and never breaks a page."""

from __future__ import annotations

import pytest

from hanlin.console import reading

METRICS = {"accuracy": 0.9, "confusion": [[4, 1], [0, 5]]}


@pytest.mark.parametrize(
    "data", [{}, {"accuracy": "high"}, {"accuracy": float("nan")}, {"accuracy": True}, {"test": {"accuracy": None}}]
)  # fmt: skip
def test_odd_metrics_are_none(data: dict) -> None:
    assert reading.read_metrics(data) is None


@pytest.mark.parametrize("confusion", [None, [], [[1]], [[1, 2], [3]], [[1, "x"], [2, 3]], {"a": 1}])
def test_an_odd_matrix_is_not_drawn(confusion: object) -> None:
    found = reading.read_metrics({**METRICS, "confusion": confusion})
    assert found is not None
    assert found.confusion == ()


def test_odd_evidence_is_empty() -> None:
    found = reading.read_variant("torch-fp32", {"latency_ms": None, "validation": [], "memory_bytes": "x"}, is_chosen=True, size_bytes=7)
    assert (found.status, found.p50_ms, found.validation, found.memory_bytes, found.size_bytes) == ("ok", None, None, None, 7)


def test_a_good_matrix_is_drawn() -> None:
    found = reading.read_metrics({**METRICS, "per_class": [{"label": "neg"}, {"label": "pos"}]})
    assert found is not None
    assert found.confusion == ((4, 1), (0, 5))
