"""The suite every engine passes, over the registry: same answers alone, padded, and among odd neighbours; clear failures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import pytest

from hanlin.engines import ENGINES, load_variant, max_batch_rows, variant_files, variant_names
from hanlin.engines.base import Session
from hanlin.errors import EngineFailed, HanlinError

TOLERANCE = {"fp32": 1e-4, "bf16": 0.05, "int8": 0.15}
GENERATOR = np.random.default_rng(7)
ROWS = [GENERATOR.integers(3, 60, n).tolist() for n in (1, 2, 5, 9, 17, 24)]
ODD = [GENERATOR.integers(3, 60, n).tolist() for n in (1, 24, 3, 24, 2) * 6] + [[5] * 24]


def answer(session, rows: list[list[int]], *, extra: int = 0) -> np.ndarray:
    width = max(map(len, rows)) + extra
    ids, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)], mask[number, : len(row)] = row, 1
    logits = session.run(ids, mask)["logits"]
    assert logits.dtype == np.float32
    assert logits.shape == (len(rows), 3)
    return logits


def reference_of(artifact: Path) -> np.ndarray:
    session = load_variant(artifact, "torch-fp32", threads=1)
    return np.concatenate([answer(session, [row]) for row in ROWS])


def loaded(artifact: Path, variant: str) -> Session | None:
    """The variant; None where this processor cannot compute it, which is told and not tried."""
    if not variant.startswith("openvino-bf16") or "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return load_variant(artifact, variant, threads=1)
    with pytest.raises(EngineFailed) as caught:
        load_variant(artifact, variant, threads=1)
    assert caught.value.code == "precision_unsupported"
    return None


@pytest.mark.parametrize("variant", variant_names())
def test_a_variant_answers_like_the_trained_model(artifact: Path, variant: str) -> None:
    reference = reference_of(artifact)
    if (session := loaded(artifact, variant)) is None:
        return
    alone = np.concatenate([answer(session, [row]) for row in ROWS])
    scale = max(1.0, float(np.abs(reference).max()))
    assert np.abs(alone - reference).max() < TOLERANCE[variant.rpartition("-")[2]] * scale
    session.close()


# A variant whose numbers depend on its neighbours runs at batch 1 only, so there is nothing to share a batch with.
@pytest.mark.parametrize("variant", [name for name in variant_names() if max_batch_rows(name) is None])
def test_a_variant_answers_alike_whatever_shares_the_batch(artifact: Path, variant: str) -> None:
    precision = variant.rpartition("-")[2]
    scale = max(1.0, float(np.abs(reference_of(artifact)).max()))
    if (session := loaded(artifact, variant)) is None:
        return
    alone = np.concatenate([answer(session, [row]) for row in ROWS])
    limit = 1e-4 if precision == "fp32" else TOLERANCE[precision] * scale
    for row, expected in zip(ROWS, alone, strict=True):
        assert np.abs(answer(session, [row], extra=7)[0] - expected).max() < limit
        assert np.abs(answer(session, [*ODD, row])[-1] - expected).max() < limit
    np.testing.assert_allclose(answer(session, ROWS), alone, atol=limit)
    session.close()


@pytest.mark.parametrize("variant", variant_names())
def test_answers_are_the_callers_to_keep(artifact: Path, variant: str) -> None:
    if (session := loaded(artifact, variant)) is None:
        return
    first = answer(session, [ROWS[3]])
    before = first.copy()
    answer(session, [ROWS[5]])
    np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize("name", sorted(set(ENGINES.names()) - {"fake"}))
def test_declared_capabilities_are_plausible(name: str) -> None:
    declared = ENGINES.get(name).capabilities
    assert declared.precisions
    assert declared.max_batch_tokens >= 4096
    assert ENGINES.get(name).name == name


@pytest.mark.parametrize("artifact", ["lstm", "bert"], indirect=True, scope="session")  # two architectures are enough
@pytest.mark.parametrize("variant", [v for v in variant_names() if variant_files(v)])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise"])
def test_a_damaged_file_is_refused_with_a_reason(tmp_path: Path, artifact: Path, variant: str, damage: str) -> None:
    for name in variant_files(variant):
        whole = (artifact / name).read_bytes()
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        is_graph = name == variant_files(variant)[0]
        kinds = {"empty": b"", "cut": whole[: len(whole) // 2], "noise": b"\x93\x01" * 500}
        if not (is_graph and damage == "missing"):
            target.write_bytes(kinds.get(damage, whole) if is_graph else whole)
    with pytest.raises(HanlinError) as caught:
        load_variant(tmp_path, variant, threads=1)
    assert isinstance(caught.value, EngineFailed)
    assert variant.split("-", maxsplit=1)[0] in caught.value.message
    assert str(tmp_path) not in str(caught.value.to_wire())
