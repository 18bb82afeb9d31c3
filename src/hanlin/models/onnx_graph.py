"""A stranger's ONNX graph gets our names: ids, mask (and token types) of any batch and length in, the output of its head out.

A graph that is named so already is taken byte for byte. Else nodes are put before and behind it; its own nodes are never touched.
Needs the `onnx` package; runs in a child process (`onnx_child.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hanlin.errors import InvalidInput
from hanlin.types import shorten

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

Side = Literal["pre", "post"]
PREFIX = "given/"
MIN_OPSET = 13  # of graphs that get nodes of ours
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})  # what ONNX Runtime carries itself
_IDS = ("input_ids", "input", "inputs", "input_word_ids", "input_1", "ids", "tokens", "token_ids")
_MASKS = ("attention_mask", "input_mask", "mask")
_TYPES = ("token_type_ids", "segment_ids", "input_type_ids", "type_ids")
_CLASSES = {1: "float32", 6: "int32", 7: "int64"}  # TensorProto.DataType of inputs that ids fit into
_SEEN_THROUGH = frozenset({"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})
_MAX_NODES = 200_000


@dataclass(frozen=True, slots=True)
class Sheet:
    """A graph that wants rows of one length.

    Attributes:
        padding, truncating: at which end short rows are filled and long ones cut.
        dropped: a token id that stands for nothing and leaves the row; None: there is none.
    """

    length: int
    pad_id: int = 0
    padding: Side = "post"
    truncating: Side = "post"
    dropped: int | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a graph takes: its own names. `length` and `batch` are None where they are free."""

    ids: str
    mask: str | None
    types: str | None
    classes: dict[str, int]
    length: int | None
    batch: int | None


def check_tensors(model: ModelProto, name: str) -> None:
    """Raises InvalidInput (`external_data_refused`) for weights that are kept in other files, wherever in the graph they are named."""
    for graph in _graphs(model):
        tensors = [*getattr(graph, "initializer", ())]
        sparse = [*getattr(graph, "sparse_initializer", ())]
        for node in graph.node:
            for attribute in node.attribute:
                tensors += [attribute.t, *attribute.tensors]
                sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
        tensors += [part for item in sparse for part in (item.values, item.indices)]
        if any(tensor.data_location or tensor.external_data for tensor in tensors):
            raise InvalidInput("external_data_refused", name=name)


def check_operators(model: ModelProto) -> None:
    """Raises InvalidInput (`onnx_operator_unknown`) for operators that only a library of the model's own knows."""
    own = {function.domain for function in model.functions}
    for graph in _graphs(model):
        for node in graph.node:
            if node.domain not in DOMAINS | own:
                raise InvalidInput("onnx_operator_unknown", operator=shorten(f"{node.domain}:{node.op_type}", 100))


def read_inputs(model: ModelProto) -> Inputs:
    """Which input is which. Raises InvalidInput (`onnx_inputs_unknown`, `onnx_fixed_batch`)."""
    constants = {item.name for item in model.graph.initializer}
    values = [item for item in model.graph.input if item.name not in constants]
    found = {kind: _named(values, names) for kind, names in (("ids", _IDS), ("mask", _MASKS), ("types", _TYPES))}
    if found["ids"] is None and len(values) == 1:
        found["ids"] = values[0].name
    known = {name for name in found.values() if name is not None}
    classes = {item.name: item.type.tensor_type.elem_type for item in values}
    shapes = [_shape(item) for item in values]
    right = all(len(shape) == 2 for shape in shapes) and all(number in _CLASSES for number in classes.values())
    ids = found["ids"]
    if ids is None or known != set(classes) or not right:
        raise InvalidInput("onnx_inputs_unknown", inputs=shorten(", ".join(map(_described, values)) or "none", 300))
    lengths = {shape[1] for shape in shapes if shape[1] is not None}
    batches = {shape[0] for shape in shapes if shape[0] is not None}
    if len(lengths) > 1 or not batches <= {1}:
        raise InvalidInput("onnx_fixed_batch", shapes=shorten(", ".join(map(_described, values)), 300))
    return Inputs(ids, found["mask"], found["types"], classes, next(iter(lengths), None), next(iter(batches), None))


def needs_nodes(inputs: Inputs, *, has_types: bool) -> bool:
    """Whether anything must be put before a graph."""
    names = (inputs.ids, inputs.mask) + ((inputs.types,) if has_types else ())
    wanted = ("input_ids", "attention_mask", "token_type_ids")[: len(names)]
    is_wide = set(inputs.classes.values()) == {7} and inputs.length is None
    return names != wanted or len(inputs.classes) != len(wanted) or not is_wide


def dress(model: ModelProto, inputs: Inputs, *, has_types: bool, sheet: Sheet | None) -> ModelProto:
    """The graph behind nodes of ours that take `input_ids`, `attention_mask` (and `token_type_ids`); its outputs are prefixed.

    Raises:
        InvalidInput: `onnx_too_old` where its operators are older than nodes of ours can be.
    """
    import onnx
    from onnx import TensorProto, helper

    model = onnx.compose.add_prefix(_recent(model), PREFIX)
    names = ["input_ids", "attention_mask", "token_type_ids"][: 3 if has_types else 2]
    front = _Nodes("front")
    arrays: dict[str, str] = dict(zip(("ids", "mask", "types"), names, strict=False))
    if "types" not in arrays:
        arrays["types"] = front.add("Mul", ["input_ids", front.number(0)])
    length = inputs.length if sheet is None else sheet.length
    if length is not None:
        arrays = _on_sheet(front, arrays, sheet or Sheet(length))
    for kind, own in (("ids", inputs.ids), ("mask", inputs.mask), ("types", inputs.types)):
        if own is not None:
            front.nodes.append(helper.make_node("Cast", [arrays[kind]], [PREFIX + own], to=inputs.classes[own]))
    values = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in names]
    body = list(model.graph.node)
    del model.graph.input[:], model.graph.node[:]
    model.graph.input.extend(values)
    model.graph.initializer.extend(front.constants)
    model.graph.node.extend([*front.nodes, *body])
    if length is not None:  # behind ours the mask of the sheet goes by this name
        model.graph.node.append(helper.make_node("Identity", [arrays["mask"]], ["sheet_mask"]))
    return model


def producer(model: ModelProto, output: str) -> str:
    """The operator that made an output, seen through those that only shape it."""
    by_output = {name: node for node in model.graph.node for name in node.output}
    name = output
    for _ in range(16):
        node = by_output.get(name)
        if node is None:
            return ""
        if node.op_type not in _SEEN_THROUGH:
            return str(node.op_type)
        name = node.input[0]
    return ""


def _on_sheet(front: _Nodes, arrays: dict[str, str], sheet: Sheet) -> dict[str, str]:
    """Rows of any length on a sheet of one: every kept token goes to its own column, the others to one that is cut off again.

    With n kept tokens and M columns the k-th of them goes to column k, plus M - n where both filling and cutting are in front; where
    only one of both is, it is plus what is free, or minus what is too much.
    """
    kept = arrays["mask"]
    if sheet.dropped is not None:
        is_kept = front.add("Not", [front.add("Equal", [arrays["ids"], front.number(sheet.dropped)])])
        kept = front.add("Mul", [kept, front.add("Cast", [is_kept], to=7)])
    one, zero, length = front.number(1), front.number(0), front.number(sheet.length)
    place = front.add("Sub", [front.add("CumSum", [kept, one]), one])
    free = front.add("Sub", [length, front.add("ReduceSum", [kept, front.vector(1)], keepdims=1)])  # M - n
    if sheet.padding == "pre" and sheet.truncating == "pre":
        place = front.add("Add", [place, free])
    elif sheet.padding == "pre":
        place = front.add("Add", [place, front.add("Max", [free, zero])])
    elif sheet.truncating == "pre":
        place = front.add("Add", [place, front.add("Min", [free, zero])])
    inside = front.add("And", [front.add("GreaterOrEqual", [place, zero]), front.add("Less", [place, length])])
    inside = front.add("And", [inside, front.add("Greater", [kept, zero])])
    column = front.add("Where", [inside, place, length])
    rows = front.add("Gather", [front.add("Shape", [arrays["ids"]]), front.vector(0)])
    size = front.add("Concat", [rows, front.vector(sheet.length + 1)], axis=0)
    found: dict[str, str] = {}
    for kind, values, filler in (("ids", arrays["ids"], sheet.pad_id), ("mask", kept, 0), ("types", arrays["types"], 0)):
        empty = front.add("Expand", [front.number(filler), size])
        whole = front.add("ScatterElements", [empty, column, values], axis=1)
        found[kind] = front.add("Slice", [whole, front.vector(0), front.vector(sheet.length), front.vector(1)])
    return found


class _Nodes:
    """Nodes and constants of ours, with names of their own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[NodeProto] = []
        self.constants: list[Any] = []

    def add(self, operator: str, inputs: list[str], **attributes: int | list[int]) -> str:
        from onnx import helper

        output = f"{self.name}/{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def number(self, value: int | float) -> str:
        return self._constant([], value)

    def vector(self, value: int) -> str:
        return self._constant([1], value)

    def _constant(self, shape: list[int], value: int | float) -> str:
        from onnx import TensorProto, helper

        name = f"{self.name}/constant/{len(self.constants)}"
        kind = TensorProto.INT64 if isinstance(value, int) else TensorProto.FLOAT
        self.constants.append(helper.make_tensor(name, kind, shape, [value]))
        return name


Nodes = _Nodes


def _recent(model: ModelProto) -> ModelProto:
    from onnx import version_converter

    opset = next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 0)
    if opset >= MIN_OPSET:
        return model
    try:
        return version_converter.convert_version(model, MIN_OPSET)
    except Exception as error:  # the converter raises whatever it likes
        raise InvalidInput("onnx_too_old", opset=opset, least=MIN_OPSET, details=str(error)) from error


def _graphs(model: ModelProto) -> list[Any]:
    """Main graph, bodies of loops and branches, functions."""
    found: list[Any] = []
    waiting: list[Any] = [model.graph, *model.functions]
    count = 0
    while waiting:
        graph = waiting.pop()
        found.append(graph)
        count += len(graph.node)
        if count > _MAX_NODES:
            raise InvalidInput("foreign_file_broke", file="model.onnx", problem=f"> {_MAX_NODES:,} nodes")
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [attribute.g] if attribute.HasField("g") else []
                waiting += attribute.graphs
    return found


def _named(values: list[ValueInfoProto], names: tuple[str, ...]) -> str | None:
    plain = {item.name.removesuffix(":0").rpartition("/")[2].lower(): item.name for item in reversed(values)}
    return next((plain[name] for name in names if name in plain), None)


def _shape(value: ValueInfoProto) -> list[int | None]:
    return [item.dim_value if item.HasField("dim_value") and item.dim_value > 0 else None for item in value.type.tensor_type.shape.dim]


def _described(value: ValueInfoProto) -> str:
    sizes = ", ".join("?" if size is None else str(size) for size in _shape(value))
    return f"{value.name} ({sizes}) {_CLASSES.get(value.type.tensor_type.elem_type, value.type.tensor_type.elem_type)}"
