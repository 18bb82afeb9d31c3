"""Small ONNX files in folders, as people bring them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from hanlin.models.importing import Imported, import_folder

WORDS = ["[PAD]", "[UNK]", *"abcdefgh", "good", "bad"]
ROWS = [[2, 3, 4, 5, 6], [10, 11], [7]]
CHANCE = np.random.default_rng(3)
TABLE = CHANCE.normal(size=(len(WORDS), 6)).astype(np.float32)
HEAD = CHANCE.normal(size=(6, 2)).astype(np.float32)


def graph_file(
    path: Path, *, names: Sequence[str] = ("input_ids", "attention_mask"), output: str = "logits", kind: int = TensorProto.INT64,
    shape: Sequence[object] = ("batch", "length"), end: str = "", per_token: bool = False, head: npt.NDArray[np.float32] = HEAD,
    opset: int = 17, domain: str = "",
) -> Path:  # fmt: skip
    """Mean of embeddings under the mask (where it has one), times a head; `end` is an operator behind it."""
    ids, *others = names
    nodes = [helper.make_node("Gather", ["table", ids if kind != TensorProto.FLOAT else "whole"], ["tokens"])]
    if kind == TensorProto.FLOAT:
        nodes.insert(0, helper.make_node("Cast", [ids], ["whole"], to=TensorProto.INT64))
    if per_token:
        nodes.append(helper.make_node("Identity", ["tokens"], ["pooled"]))
    elif others:
        nodes += [
            helper.make_node("Cast", [others[0]], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["floats", "two"], ["weights"]),
            helper.make_node("Mul", ["tokens", "weights"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "one"], ["total"], keepdims=0),
            helper.make_node("ReduceSum", ["weights", "one"], ["count"], keepdims=0),
            helper.make_node("Div", ["total", "count"], ["pooled"]),
        ]
    else:
        nodes.append(helper.make_node("ReduceMean", ["tokens"], ["pooled"], axes=[1], keepdims=0))
    nodes.append(helper.make_node("MatMul", ["pooled", "head"], ["scores" if end else output]))
    if end:
        nodes.append(helper.make_node(end, ["scores"], [output], domain=domain))
    constants = [numpy_helper.from_array(TABLE, "table"), numpy_helper.from_array(head, "head")]
    constants += [numpy_helper.from_array(np.array([number]), name) for number, name in ((1, "one"), (2, "two"))]
    values = [helper.make_tensor_value_info(name, kind, list(shape)) for name in names]
    answer = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    made = helper.make_graph(nodes, "g", values, [answer], constants)
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    onnx.save(helper.make_model(made, opset_imports=opsets, ir_version=8), str(path))
    return path


def folder_of(path: Path, labels: Sequence[str] = ("bad", "good"), **options: object) -> Path:
    """Such a file with a tokenizer of words and its labels."""
    path.mkdir(exist_ok=True)
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    (path / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    if labels:
        (path / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
    graph_file(path / "model.onnx", **options)  # type: ignore[arg-type]
    return path


def take(source: Path, tmp_path: Path, task: str = "text-classification") -> tuple[Imported, Path]:
    """Import it into `tmp_path / "out"`."""
    out = tmp_path / "out"
    return import_folder(source, out, task=task), out
