"""External data is refused in every form it has been smuggled in; ordinary and damaged files are told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hanlin.engines import load_variant
from hanlin.engines.onnx_file import refuse_external_data
from hanlin.errors import EngineFailed, InvalidInput

LOCATIONS = ["../x", "a/../../x", "/etc/passwd", "link", "linked/x", "hard"]


def model(tensor: TensorProto, *, place: str = "initializer") -> onnx.ModelProto:
    nodes, initializers = [], [numpy_helper.from_array(np.zeros((2, 3), np.float32), "w0")]
    if place == "initializer":
        initializers.append(tensor)
    else:
        nodes.append(helper.make_node("Constant", [], ["c"], value=tensor))
    if place == "subgraph":
        inner = helper.make_graph(nodes, "inner", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [4])])
        nodes = [helper.make_node("If", ["flag"], ["d"], then_branch=inner, else_branch=inner)]
    graph = helper.make_graph(nodes, "g", [], [], initializers)
    return helper.make_model(graph)


def external(location: str) -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


@pytest.mark.parametrize("place", ["initializer", "attribute", "subgraph"])
@pytest.mark.parametrize("location", LOCATIONS)
def test_external_data_is_refused_wherever_it_stands(tmp_path: Path, location: str, place: str) -> None:
    """C099."""
    path = tmp_path / "variants" / "onnxruntime-fp32" / "model.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(model(external(location), place=place).SerializeToString())
    with pytest.raises(InvalidInput) as caught:
        load_variant(tmp_path, "onnxruntime-fp32", threads=1)
    assert caught.value.code == "external_data_refused"
    assert location not in caught.value.message


def test_a_location_without_the_external_mark_is_refused_too(tmp_path: Path) -> None:
    tensor = external("../x")
    tensor.data_location = TensorProto.DEFAULT
    (tmp_path / "m.onnx").write_bytes(model(tensor).SerializeToString())
    with pytest.raises(InvalidInput):
        refuse_external_data(tmp_path / "m.onnx")


def test_ordinary_weights_pass(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.arange(4, dtype=np.float32), "w")
    (tmp_path / "m.onnx").write_bytes(model(tensor, place="subgraph").SerializeToString())
    refuse_external_data(tmp_path / "m.onnx")


def test_damage_is_an_engine_failure_never_a_hang(tmp_path: Path) -> None:
    whole = model(numpy_helper.from_array(np.ones((64, 64), np.float32), "w")).SerializeToString()
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        data = bytearray(whole)
        for at in generator.integers(0, 200, 8):
            data[at] = int(generator.integers(0, 256))
        (tmp_path / "m.onnx").write_bytes(bytes(data))
        try:
            refuse_external_data(tmp_path / "m.onnx")
        except (EngineFailed, InvalidInput):
            refused += 1
    assert refused > 50
