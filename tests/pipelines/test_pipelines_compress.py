"""A choice whose certificate fails is passed over, never published and never silently replaced. What is tried where nothing is named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.compression.report import CompressionReport, Machine, VariantEvidence
from hanlin.control.job_kinds import Compress
from hanlin.control.platform import Platform
from hanlin.engines import measured_unasked
from hanlin.messages.said import Said
from hanlin.pipelines.base import JobContext
from hanlin.pipelines.compress import _Compressing, _passed_over
from hanlin.storage.manifest import Manifest
from hanlin.types import JsonObject


def row(variant: str, p50: float) -> VariantEvidence:
    return VariantEvidence(variant, "ok", latency_p50_ms=p50, throughput_rows_s=1000 / p50, validation_metric=0.9, drop_points=0.0)


def test_the_next_best_stands_in_for_a_choice_that_failed_its_certificate() -> None:
    rows = (row("torch-fp32", 9.0), row("openvino-int8", 1.0), row("openvino-bf16", 2.0))
    report = CompressionReport("latency", 0.5, "accuracy", "openvino-int8", Machine("cpu", 2, 2, ()), rows).to_json()
    refused = Said("labels_disagree", {"agreement": "98.0%", "asked": "99%"})
    report = _passed_over(report, "openvino-int8", refused)
    found = CompressionReport.from_json(report)
    assert found.chosen == "openvino-bf16"
    assert (found.of("openvino-int8").status, found.of("openvino-int8").reason) == ("failed", refused)
    found = CompressionReport.from_json(_passed_over(report, "openvino-bf16", refused))
    assert found.chosen == found.reference
    assert found.is_reference_kept


@pytest.mark.parametrize(
    ("task", "lineage", "writes"),
    [("text-classification", {}, False), ("text-generation", {}, True), ("translation", {}, True), ("sentiment", {"prompt": True}, True)],
)
def test_unasked_those_of_its_kind_of_network_are_tried(
    platform: Platform, tmp_path: Path, task: str, lineage: JsonObject, writes: bool
) -> None:
    platform.registry.create_version(DEFAULT_TEAM, "m", task, manifest=Manifest(()), lineage=lineage, metrics={}, labels=())
    context = cast("JobContext", SimpleNamespace(platform=platform, job=SimpleNamespace(team_id=DEFAULT_TEAM), threads=1, workdir=tmp_path))
    assert _Compressing(context, Compress(model="m:1")).names == measured_unasked(writes=writes)
    assert _Compressing(context, Compress(model="m:1", variants=["openvino-fp32"])).names == ["openvino-fp32"]
