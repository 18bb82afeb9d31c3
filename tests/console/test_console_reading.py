"""What was stored oddly, or by another version, is shown as nothing and never breaks a page."""

from __future__ import annotations

import pytest

from hanlin.console import reading, shapes

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


def test_a_tasks_own_figure_stands_for_it_and_the_others_beside_it() -> None:
    stored = {"accuracy": 0.97, "f1": 0.8, "precision": 0.9, "macro_f1": 0.7, "conll09_f1": 0.75, "mse": 0.2, "ece": 0.1, "rows_per_s": 9.0}
    found = reading.read_metrics(stored, ("f1", "f1", "precision", "accuracy"))
    assert found is not None
    assert (found.name, found.value, found.ece) == ("f1", 0.8, 0.1)
    assert found.more == (("precision", 0.9), ("accuracy", 0.97), ("conll09_f1", 0.75), ("mse", 0.2))
    shown = [shapes.figure(value, name) for name, value in found.more[-2:]]
    assert shown == ["75.0\u202f%", "0.200"]
