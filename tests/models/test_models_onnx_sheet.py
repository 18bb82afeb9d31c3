"""A sheet of fixed width before a graph, as Keras fills and cuts its own."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from hanlin.models import onnx_child
from hanlin.models.onnx_answer import Wanted
from hanlin.models.onnx_child import Asked
from hanlin.models.onnx_graph import Sheet


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("dropped", [None, 1])
def test_a_sheet_is_filled_as_keras_does(padding: str, truncating: str, dropped: int | None) -> None:
    """Columns of a sheet of four, seen through a graph that weighs each place."""
    places = np.array([1, 100, 10_000, 1_000_000], np.float32).reshape(4, 1)
    nodes = [helper.make_node("MatMul", ["x", "places"], ["y"])]
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 4])]
    answers = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", 1])]
    graph = helper.make_graph(nodes, "g", values, answers, [numpy_helper.from_array(places, "places")])
    raw = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    sheet = Sheet(4, padding=padding, truncating=truncating, dropped=dropped)  # type: ignore[arg-type]
    asked = Asked(Wanted("pairs"), "logits", [4], 9, 0, sheet=sheet)
    made, facts = onnx_child.rewrite(raw, asked, name="model.onnx")
    rows = [[5, 1, 7], [3], [2, 1, 4, 5, 6, 7], [1, 2, 3, 4]]
    ids, mask = np.full((4, 6), 9, dtype=np.int64), np.zeros((4, 6), dtype=np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)], mask[place, : len(row)] = row, 1
    found = ort.InferenceSession(made).run(["logits"], {"input_ids": ids, "attention_mask": mask})[0][:, 0]
    for row, got in zip(rows, found, strict=True):
        kept = [token for token in row if token != dropped]
        kept = kept[-4:] if truncating == "pre" else kept[:4]
        filler = [0] * (4 - len(kept))
        wanted = [*filler, *kept] if padding == "pre" else [*kept, *filler]
        assert got == float(np.array(wanted, np.float32) @ places[:, 0]), (row, wanted)
    assert (facts["max_length"], facts["is_alone"]) == (4, False)
