"""What stands behind a stranger's graph: its output as our head names it: logits of labels, of tokens, of pairs, or one vector a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hanlin.errors import InvalidInput
from hanlin.models.onnx_graph import Nodes, producer
from hanlin.types import shorten

if TYPE_CHECKING:
    from onnx import ModelProto

Arrays = Mapping[str, npt.NDArray[Any]]
_LOGITS = ("logits", "output", "outputs", "output_0", "scores", "probabilities", "last_hidden_state", "predictions")
_VECTORS = ("sentence_embedding", "embeddings", "text_embeds", "last_hidden_state", "token_embeddings", "output_0")
_LEAST = 1e-30  # of a probability whose logarithm is taken


@dataclass(frozen=True, slots=True)
class Wanted:
    """The head that the task wants.

    Attributes:
        kind: `labels`, `tokens`, `pairs` or `vectors`.
        num_labels: where they are known.
        pooling, is_normalized: of vectors.
    """

    kind: str
    num_labels: int | None = None
    pooling: str = ""
    is_normalized: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The output that was chosen: its name, whether nodes are needed behind it, and labels or values a row."""

    name: str
    width: int
    steps: tuple[str, ...]


def choose(model: ModelProto, found: Arrays, wanted: Wanted, *, prefix: str = "") -> Answer:
    """Which output answers, and what must be done to it.

    Args:
        model: the graph.
        found: its outputs of one trial row, by name.
        wanted: what the task reads.
        prefix: what the names of the graph's own outputs begin with.

    Raises:
        InvalidInput: `onnx_outputs_unknown`, `onnx_output_wrong`.
    """
    floats = {name: values for name, values in found.items() if values.dtype.kind == "f"}
    names = _VECTORS if wanted.kind == "vectors" else _LOGITS
    plain = {name.removeprefix(prefix).removesuffix(":0").lower(): name for name in reversed(floats)}
    name = next((plain[item] for item in names if item in plain), None) or (next(iter(floats)) if len(floats) == 1 else None)
    if name is None:
        raise InvalidInput("onnx_outputs_unknown", outputs=shorten(", ".join(map(str, found)) or "none", 300))
    return Answer(name, *_steps(model, name, floats[name], wanted))


def _steps(model: ModelProto, name: str, values: npt.NDArray[Any], wanted: Wanted) -> tuple[int, tuple[str, ...]]:
    made_by = producer(model, name)
    rank, width = values.ndim, values.shape[-1] if values.ndim else 0
    shown = f"{name} {list(values.shape)}"
    if wanted.kind == "vectors":
        _check(rank in (2, 3), shown, "(batch, size) or (batch, length, size)")
        return width, ("pool",) * (rank == 3) + ("normalize",) * wanted.is_normalized
    if wanted.kind == "tokens":
        _check(rank == 3 and width > 1, shown, "(batch, length, labels)")
        return width, ("log",) * _is_distribution(values, made_by)
    _check(rank == 2 or (rank == 1 and wanted.kind != "labels") or (rank == 1 and len(values) == 1), shown, "(batch, labels)")
    width = width if rank == 2 else 1
    steps = ("unsqueeze",) * (rank == 1)
    if wanted.kind == "pairs":
        _check(width == 1, shown, "(batch, 1)")
        return 1, (*steps, *("logit",) * (made_by == "Sigmoid"))
    if width == 1:  # one score for the second of two labels
        return 2, (*steps, "both" if made_by == "Sigmoid" else "against_zero")
    _check(made_by != "Sigmoid", shown, "one distribution over the labels, not a sigmoid for each")
    return width, (*steps, *("log",) * _is_distribution(values, made_by))


def _is_distribution(values: npt.NDArray[Any], made_by: str) -> bool:
    return made_by == "Softmax" or bool((values >= 0).all() and np.allclose(values.sum(axis=-1), 1, atol=1e-4) and values.shape[-1] > 1)


def attach(model: ModelProto, answer: Answer, wanted: Wanted, *, output: str, mask: str) -> None:
    """Nodes behind the chosen output, and `output` as the graph's only one. The graph must be free of names of ours."""
    from onnx import TensorProto, helper

    nodes, name = Nodes("back"), answer.name
    name = nodes.add("Cast", [name], to=TensorProto.FLOAT)
    for step in answer.steps:
        name = _STEPS[step](nodes, name, wanted, mask)
    if output == "token_logits":  # of a graph of one length only the tokens of these rows
        length = nodes.add("Gather", [nodes.add("Shape", ["input_ids"]), nodes.vector(1)])
        name = nodes.add("Slice", [name, nodes.vector(0), length, nodes.vector(1)])
    nodes.nodes.append(helper.make_node("Identity", [name], [output]))
    model.graph.node.extend(nodes.nodes)
    model.graph.initializer.extend(nodes.constants)
    del model.graph.output[:]
    shape = ["batch", "length", answer.width] if output == "token_logits" else ["batch", answer.width]
    model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, shape))


def _log(nodes: Nodes, name: str, wanted: Wanted, mask: str) -> str:
    return nodes.add("Log", [nodes.add("Max", [name, nodes.number(_LEAST)])])


def _logit(nodes: Nodes, name: str, wanted: Wanted, mask: str) -> str:
    return nodes.add("Sub", [_log(nodes, name, wanted, mask), _log(nodes, nodes.add("Sub", [nodes.number(1.0), name]), wanted, mask)])


def _both(nodes: Nodes, name: str, wanted: Wanted, mask: str) -> str:
    other = _log(nodes, nodes.add("Sub", [nodes.number(1.0), name]), wanted, mask)
    return nodes.add("Concat", [other, _log(nodes, name, wanted, mask)], axis=1)


def _against_zero(nodes: Nodes, name: str, wanted: Wanted, mask: str) -> str:
    return nodes.add("Concat", [nodes.add("Mul", [name, nodes.number(0.0)]), name], axis=1)


def _unsqueeze(nodes: Nodes, name: str, wanted: Wanted, mask: str) -> str:
    return nodes.add("Unsqueeze", [name, nodes.vector(1)])


def _pool(nodes: Nodes, name: str, wanted: Wanted, mask: str) -> str:
    if wanted.pooling == "cls":
        return nodes.add("Gather", [name, nodes.number(0)], axis=1)
    weights = nodes.add("Cast", [nodes.add("Unsqueeze", [mask, nodes.vector(2)])], to=1)
    if wanted.pooling == "max":
        hidden = nodes.add("Mul", [nodes.add("Sub", [weights, nodes.number(1.0)]), nodes.number(1e9)])
        turned = nodes.add("Transpose", [nodes.add("Add", [name, hidden])], perm=[0, 2, 1])  # (batch, size, length)
        return nodes.add("Flatten", [nodes.add("GlobalMaxPool", [turned])], axis=1)  # ReduceMax is not the same in all opsets
    total = nodes.add("ReduceSum", [nodes.add("Mul", [name, weights]), nodes.vector(1)], keepdims=0)
    count = nodes.add("Max", [nodes.add("ReduceSum", [weights, nodes.vector(1)], keepdims=0), nodes.number(1e-9)])
    return nodes.add("Div", [total, count])


def _normalize(nodes: Nodes, name: str, wanted: Wanted, mask: str) -> str:
    square = nodes.add("ReduceSum", [nodes.add("Mul", [name, name]), nodes.vector(1)], keepdims=1)
    return nodes.add("Div", [name, nodes.add("Max", [nodes.add("Sqrt", [square]), nodes.number(1e-12)])])


_STEPS = {
    "log": _log, "logit": _logit, "both": _both, "against_zero": _against_zero, "unsqueeze": _unsqueeze, "pool": _pool,
    "normalize": _normalize,
}  # fmt: skip


def _check(is_right: bool, found: str, wanted: str) -> None:
    if not is_right:
        raise InvalidInput("onnx_output_wrong", found=shorten(found, 200), wanted=wanted)
