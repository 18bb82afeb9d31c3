"""The report of a search says where its rows are too few to judge on, and speaks of decimal megabytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hanlin.compression import search as search_module
from hanlin.compression.judge import Bounds
from hanlin.compression.pictures import _value
from hanlin.compression.report import CompressionReport, Machine, VariantEvidence
from hanlin.tasks.spec import ModelSpec

ROWS = (
    VariantEvidence("torch-fp32", "ok", drop_points=0.0, memory_bytes=50_000_000),
    VariantEvidence("openvino-int8", "ok", drop_points=0.0, memory_bytes=20_000_000),
)


def report(**rows: int) -> CompressionReport:
    return CompressionReport("memory", 0.5, "accuracy", "openvino-int8", Machine("cpu", 2, 2, ()), ROWS, rows)


@pytest.mark.parametrize(
    ("validation", "test", "codes"),
    [(22, 21, ["few_rows_for_budget", "few_test_rows"]), (22, 100, ["few_rows_for_budget"]), (200, 100, [])],
)
def test_too_few_rows_are_warned_of(validation: int, test: int, codes: list[str]) -> None:
    found = report(validation=validation, test=test)
    stored = json.loads(json.dumps(found.to_json()))
    assert [item["code"] for item in stored["warnings"]] == codes
    assert CompressionReport.from_json(stored) == found


def test_a_megabyte_is_a_million_bytes_in_the_picture() -> None:
    found = report(validation=200, test=100)
    assert [_value(row, found) for row in ROWS] == [50.0, 20.0]


class Lines:
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, object]]] = []

    def report(self, *_: object) -> None: ...

    def check_cancelled(self) -> None: ...

    def message(self, code: str, /, **params: object) -> None:
        self.said.append((code, params))


def test_a_megabyte_is_a_million_bytes_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "convert", lambda *_, **__: None)
    (tmp_path / "model.safetensors").write_bytes(bytes(2_500_000))
    rows = search_module.EncodedSplit([[1]], np.zeros(1, dtype=np.int64))
    spec = ModelSpec("text-classification", ("a", "b"), 64, 0)
    plan = search_module.Plan(tmp_path, tmp_path, spec, rows, rows, [[1]], ("torch-fp32",), Bounds(0.5), 1, 1, 64, ())
    lines = Lines()
    search_module._Search(plan, lines)._make()
    assert [params["megabytes"] for code, params in lines.said if code == "variant_made"] == [2.5]
