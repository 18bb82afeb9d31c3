"""The real port of the console: a home with a model that is served, and keys."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.console.real.served import CERTIFICATE, COST, METRICS, TEAM, FakeDataplane

from hanlin.app import open_platform
from hanlin.compression.report import CompressionReport, Machine, VariantEvidence
from hanlin.console.adapter import PlatformPort
from hanlin.control import deployments
from hanlin.control.platform import Platform
from hanlin.settings import Settings
from hanlin.storage.manifest import pack_folder
from hanlin.types import Principal


@pytest.fixture
def platform(tmp_path: Path, migrated_file: Path) -> Iterator[Platform]:
    shutil.copy(migrated_file, tmp_path)
    found = open_platform(Settings(home=tmp_path))
    yield found
    found.close()


@pytest.fixture
def secret(platform: Platform, tmp_path: Path) -> str:
    return platform.accounts.ensure_owner_key(tmp_path) or ""


@pytest.fixture
def port(platform: Platform) -> PlatformPort:
    return PlatformPort(platform, FakeDataplane(platform.accounts, settings=platform.settings))


@pytest.fixture
def owner(port: PlatformPort, secret: str) -> Principal:
    return port.authenticate(secret)


@pytest.fixture
def model(platform: Platform, owner: Principal, tmp_path: Path) -> str:
    """`reviews:1`: compressed, certified, published, deployed."""
    folder = tmp_path / "artifact"
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "curve.svg").write_text("<svg/>")
    (folder / "config.json").write_text("{}")
    version = platform.registry.create_version(
        TEAM, "reviews", "text-classification",
        manifest=pack_folder(folder, platform.blobs), lineage={"dataset": "r:1", "seed": 0, "config": {}},
        metrics=METRICS, labels=("neg", "pos"),
    )  # fmt: skip
    rows = tuple(
        VariantEvidence(name, "ok", validation_metric=0.9, drop_points=0.0, test_metric=0.9, throughput_rows_s=rate, **COST)
        for name, rate in (("torch-fp32", 400.0), ("openvino-int8", 2000.0))
    )  # fmt: skip
    report = CompressionReport(
        "throughput", 0.5, "accuracy", "openvino-int8", Machine("cpu", 2, 2, ()), rows, {"validation": 60, "test": 10}
    ).to_json()
    for row in rows:
        is_chosen = row.variant == "openvino-int8"
        evidence = {**row.to_json(), "budget": 0.5, "target": "throughput"} | ({"report": report} if is_chosen else {})
        platform.registry.add_variant(version, row.variant, None, evidence, is_chosen=is_chosen)
    platform.registry.add_certificate(version, "openvino-int8", CERTIFICATE, is_passed=True)
    platform.registry.publish(version)
    platform.registry.set_alias(TEAM, "reviews", "production", 1)
    deployments.deploy(platform, owner, model="reviews", endpoint="mood")
    return "reviews"
