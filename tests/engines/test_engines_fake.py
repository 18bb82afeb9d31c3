"""The fake engine and the variant names: no engine library needed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hanlin.engines import ENGINES, base, load_variant, max_batch_rows, measured_unasked, split_variant, variant_files, variant_names
from hanlin.errors import EngineFailed, InvalidInput


def test_all_variants_of_the_issue_are_declared_with_the_reference_first() -> None:
    assert variant_names()[0] == "torch-fp32"
    assert set(variant_names()) == {
        "torch-fp32", "torch-bf16", "torch-int8", "onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32", "openvino-bf16", "openvino-int8",
        "openvino-int4", "inductor-fp32", "inductor-bf16", "vllm-bf16", "vllm-fp16", "vllm-fp32",
    }  # fmt: skip


@pytest.mark.parametrize("has", [True, False])
def test_what_nobody_named_is_measured_where_the_processor_has_its_arithmetic(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    monkeypatch.setattr(base, "has_bf16", lambda: has)
    bf16 = {"torch-bf16", "openvino-bf16"}
    left = {"torch-int8", "openvino-int4", "inductor-fp32", "inductor-bf16", "vllm-bf16", "vllm-fp16", "vllm-fp32"} | (
        set() if has else bf16
    )
    assert set(variant_names()) - set(measured_unasked()) == left
    writing = {"torch-fp32", "torch-int8", "openvino-fp32", "openvino-int8", "openvino-int4"}
    assert set(measured_unasked(writes=True)) == writing | (bf16 if has else set())


@pytest.mark.parametrize("name", ["", "torch", "torch-int4", "nobody-fp32", "torch-fp32-x", "../x-fp32", "fp32-torch"])
def test_an_unknown_variant_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        split_variant(name)
    assert caught.value.code == "unknown_variant"
    assert "openvino-int8" in caught.value.message


def test_variants_that_depend_on_neighbours_run_alone() -> None:
    assert max_batch_rows("onnxruntime-int8") == 1
    assert {v for v in variant_names() if max_batch_rows(v) is None} == set(variant_names()) - {"onnxruntime-int8"}


def test_openvino_fp32_and_bf16_share_one_model() -> None:
    assert variant_files("openvino-fp32") == variant_files("openvino-bf16") != variant_files("openvino-int8")
    assert variant_files("torch-fp32") == ()


def test_fake_answers_ignore_padding_and_neighbours(tmp_path: Path) -> None:
    session = load_variant(tmp_path, "fake-fp32", threads=1)
    alone = session.run(np.array([[5, 6]]), np.ones((1, 2), np.int64))["logits"]
    padded = session.run(np.array([[9, 9, 9], [5, 6, 777]]), np.array([[1, 1, 1], [1, 1, 0]]))["logits"]
    assert alone.dtype == np.float32
    np.testing.assert_array_equal(alone[0], padded[1])


def test_fake_fails_as_told(tmp_path: Path) -> None:
    (tmp_path / "fake.json").write_text(json.dumps({"labels": 3, "fail_token": 7, "nan_token": 8}))
    session = load_variant(tmp_path, "fake-fp32", threads=1)
    assert np.isnan(session.run(np.array([[8]]), np.array([[1]]))["logits"]).all()
    with pytest.raises(EngineFailed, match="fake-fp32"):
        session.run(np.array([[7]]), np.array([[1]]))
    (tmp_path / "fake.json").write_text('{"fail_load": true}')
    with pytest.raises(EngineFailed, match="told to fail"):
        load_variant(tmp_path, "fake-fp32", threads=1)
    (tmp_path / "fake.json").write_text('{"speed": 9}')
    with pytest.raises(EngineFailed, match="speed"):
        load_variant(tmp_path, "fake-fp32", threads=1)


def test_fake_vectors_are_the_mean_of_their_tokens(tmp_path: Path) -> None:
    (tmp_path / "fake.json").write_text(json.dumps({"dimensions": 3}))
    session = load_variant(tmp_path, "fake-fp32", threads=1)
    found = session.run(np.array([[5, 6, 0], [7, 8, 9]]), np.array([[1, 1, 0], [1, 1, 1]]), with_tokens=True)
    alone = session.run(np.array([[5, 6]]), np.ones((1, 2), np.int64))
    assert session.has_tokens
    np.testing.assert_allclose(found["token_embeddings"][0, :2].mean(axis=0), alone["embeddings"][0], atol=1e-6)
    np.testing.assert_array_equal(found["embeddings"][0], alone["embeddings"][0])
    for behaviour in ({"dimensions": 3, "tokens": False}, {"labels": 3}):
        (tmp_path / "fake.json").write_text(json.dumps(behaviour))
        session = load_variant(tmp_path, "fake-fp32", threads=1)
        assert not session.has_tokens
        with pytest.raises(InvalidInput, match="fake-fp32"):
            session.run(np.array([[5, 6]]), np.ones((1, 2), np.int64), with_tokens=True)


def test_naming_engines_imports_no_engine_library() -> None:
    import subprocess
    import sys

    heavy = "torch transformers onnxruntime openvino"
    code = f"import hanlin.engines, sys; hanlin.engines.variant_names(); print([m for m in '{heavy}'.split() if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    assert "fake" in ENGINES.names()
