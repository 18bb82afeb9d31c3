"""A graph that came instead of torch's weights is asked like a network, row by row where padding would disturb it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.engines.asking import Questioner
from hanlin.engines.trained import trained_session
from hanlin.tasks.base import TASKS
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_graph_answers_like_a_network(tmp_path: Path, is_alone: bool) -> None:
    """The mean of all columns, padding too: only a row that is alone gets its own mean."""
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["attention_mask"], ["unused"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["mean", "head"], ["logits"]),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "l"]) for name in ("input_ids", "attention_mask")]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", 2])
    graph = helper.make_graph(nodes, "g", inputs, [output], [numpy_helper.from_array(np.array([[1.0, -1.0]], np.float32), "head")])
    place = tmp_path / "variants" / "onnxruntime-fp32"
    place.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(place / "model.onnx"))
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "one": 1, "two": 2}, unk_token="[PAD]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    spec = ModelSpec("text-classification", ("a", "b"), 16, 0, reference="onnxruntime-fp32", is_alone=is_alone)
    spec.save(tmp_path)
    session, max_rows = trained_session(tmp_path, threads=1)
    task = TASKS.get("text-classification")
    questioner = Questioner(session, task, spec, TextEncoder.load(tmp_path), max_rows=max_rows)
    asked = questioner.ask([task.probe([text]) for text in ("one one one one", "two")])
    means = np.array([[1.0], [2.0 if is_alone else 0.5]])
    wanted = np.exp(means * [[1, -1]]) / np.exp(means * [[1, -1]]).sum(1, keepdims=True)
    found = [numbers for answer in asked.answers for numbers in task.read(answer, spec)]
    np.testing.assert_allclose(np.concatenate(found), wanted, atol=1e-6)
