"""ONNX files that cannot be served are refused by name, and nothing of them stays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.models.onnx_files import WORDS, folder_of, graph_file, take

from hanlin.errors import InvalidInput


def spoil(source: Path, kind: str) -> None:
    path = source / "model.onnx"
    model = onnx.load(str(path))
    if kind == "external":
        onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
        (source / "weights.bin").unlink()
    elif kind == "data beside":
        (source / "model.onnx_data").write_bytes(b"x")
    elif kind == "opset":
        model.opset_import[0].version = 99
        onnx.save(model, str(path))
    elif kind == "ir":
        model.ir_version = 999
        onnx.save(model, str(path))
    elif kind == "junk":
        path.write_bytes(b"\x08" + b"junk" * 100)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "two":
        path.rename(source / "one.onnx")
        (source / "two.onnx").write_bytes(b"x")
    elif kind == "pickle":
        (source / "pytorch_model.bin").write_bytes(b"x")
    elif kind == "bomb":  # a terabyte of zeros, said in a few bytes
        size = helper.make_node("ConstantOfShape", ["huge"], ["zeros"])
        model.graph.node.extend([size, helper.make_node("ReduceMean", ["zeros"], ["other"], keepdims=0)])
        model.graph.initializer.append(numpy_helper.from_array(np.array([2**19, 2**19]), "huge"))
        model.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, []))
        onnx.save(model, str(path))
    elif kind == "nan":
        weights = next(item for item in model.graph.initializer if item.name == "head")
        weights.CopyFrom(numpy_helper.from_array(np.full((6, 2), np.nan, np.float32), "head"))
        onnx.save(model, str(path))


@pytest.mark.parametrize(
    ("kind", "options", "code"),
    [
        ("external", {}, "external_data_refused"),
        ("data beside", {}, "external_data_refused"),
        ("opset", {}, "onnx_too_new"),
        ("ir", {}, "onnx_too_new"),
        ("junk", {}, "foreign_file_broke"),
        ("empty", {}, "foreign_file_broke"),
        ("two", {}, "several_models"),
        ("pickle", {}, "unsupported_format"),
        ("bomb", {}, "onnx_does_not_run"),
        ("nan", {}, "onnx_does_not_run"),
        ("", {"names": ("input_ids", "attention_mask", "pixel_values")}, "onnx_inputs_unknown"),
        ("", {"kind": TensorProto.DOUBLE}, "onnx_inputs_unknown"),
        ("", {"shape": (4, "length")}, "onnx_fixed_batch"),
        ("", {"end": "Secret", "domain": "my.company"}, "onnx_operator_unknown"),
        ("", {"end": "Sigmoid"}, "onnx_output_wrong"),
        ("", {"per_token": True}, "onnx_output_wrong"),
        ("", {"labels": ()}, "labels_missing"),
        ("", {"labels": ("a", "b", "c")}, "invalid_labels"),
        ("", {"labels": ("a", "a")}, "invalid_labels"),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_refused_by_name(tmp_path: Path, kind: str, options: dict, code: str) -> None:
    if options.get("domain"):
        source = folder_of(tmp_path / "in")
        graph_file(source / "model.onnx", **options)
    else:
        source = folder_of(tmp_path / "in", **options)
    spoil(source, kind)
    with pytest.raises(InvalidInput) as caught:
        take(source, tmp_path)
    assert caught.value.code == code
    assert caught.value.message
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("same_process")
def test_a_tokenizer_with_more_ids_than_rows_does_not_fit(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in")
    whole = json.loads((source / "tokenizer.json").read_text())
    whole["model"]["vocab"]["extra"] = len(WORDS) + 5
    (source / "tokenizer.json").write_text(json.dumps(whole))
    with pytest.raises(InvalidInput) as caught:
        take(source, tmp_path)
    assert caught.value.code == "tokenizer_does_not_fit"
