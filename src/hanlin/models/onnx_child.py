"""Child process: reads an ONNX file, runs it, and gives it back under our names.

python -m hanlin.models.onnx_child FILE ARGUMENTS    → the model on stdout, what was found on stderr (see `child.py`)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hanlin.errors import InvalidInput
from hanlin.models.child import MAX_RESULT_BYTES, answer
from hanlin.models.onnx_answer import Wanted, attach, choose
from hanlin.models.onnx_graph import PREFIX, Inputs, Sheet, check_operators, check_tensors, dress, needs_nodes, read_inputs
from hanlin.types import JsonObject, shorten

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NEIGHBOUR_TOLERANCE = 1e-3
_LENGTHS = (9, 5, 3)
_TOO_NEW = re.compile(r"opset|IR version", re.IGNORECASE)
_UNKNOWN_OPERATOR = re.compile(r"No Op registered for (\S+)|not a registered function/op|custom op", re.IGNORECASE)
_INTEGERS = frozenset({
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearMatMul", "DynamicQuantizeLSTM",
    "MatMulNBits",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments: what the task wants, and what tokenizer and companions say.

    Attributes:
        lengths: tokens a text may have, the best first; the first that the graph takes is kept.
        largest_id, pad_id: of the tokenizer.
        reads_types: whether the task tells two texts apart by token types.
        sheet: how a row of one length is filled, where somebody says so.
    """

    wanted: Wanted
    output: str
    lengths: Sequence[int]
    largest_id: int
    pad_id: int
    reads_types: bool = False
    sheet: Sheet | None = None

    def to_json(self) -> JsonObject:
        """The form for the command line."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: JsonObject) -> Asked:
        """What `to_json` wrote; it comes from our own process."""
        told: dict[str, Any] = dict(value)
        sheet = Sheet(**told["sheet"]) if told["sheet"] else None
        return cls(**(told | {"wanted": Wanted(**told["wanted"]), "sheet": sheet}))


def convert(path: Path, arguments: JsonObject) -> tuple[bytes, JsonObject]:
    """The model under our names, and: `width`, `has_types`, `max_length`, `is_alone`, `precision`, `num_parameters`.

    Raises:
        InvalidInput: naming what is wrong with the file; see the codes `onnx_…`.
    """
    asked = Asked.from_json(arguments)
    if not 0 < path.stat().st_size <= MAX_RESULT_BYTES:
        raise InvalidInput("foreign_file_broke", file=path.name, problem="empty, or > 2 GB")
    return rewrite(path.read_bytes(), asked, name=path.name)


def rewrite(raw: bytes, asked: Asked, *, name: str) -> tuple[bytes, JsonObject]:
    """The same for the bytes of a model."""
    import onnx

    try:
        model = onnx.load_model_from_string(raw)
    except Exception as error:  # protobuf's, and onnx's own
        raise InvalidInput("foreign_file_broke", file=name, problem="no ONNX model", details=str(error)) from error
    check_tensors(model, name)
    check_operators(model)
    inputs = read_inputs(model)
    has_types = asked.reads_types and inputs.types is not None
    session = _session(raw, name)
    own = _run(session, _first_row(inputs, asked), name)
    chosen = choose(model, own, asked.wanted)
    if asked.wanted.num_labels not in (None, chosen.width):
        problem = f"{asked.wanted.num_labels} labels for a head of {chosen.width} outputs"
        raise InvalidInput("invalid_labels", problem=problem)
    is_bare = not needs_nodes(inputs, has_types=has_types) and asked.sheet is None
    facts: JsonObject = {
        "width": chosen.width, "has_types": has_types, "precision": _precision(model),
        "num_parameters": int(sum(np.prod(item.dims) for item in model.graph.initializer)),
    }  # fmt: skip
    if not is_bare or chosen.name != asked.output or chosen.steps:
        model = dress(model, inputs, has_types=has_types, sheet=asked.sheet)
        chosen = choose(model, {PREFIX + key: values for key, values in own.items()}, asked.wanted, prefix=PREFIX)
        attach(model, chosen, asked.wanted, output=asked.output, mask="sheet_mask" if _is_sheet(inputs, asked) else "attention_mask")
        raw = model.SerializeToString()
    facts["is_alone"], facts["max_length"] = _try(_session(raw, name), asked, inputs, has_types=has_types, name=name)
    return raw, facts


def _is_sheet(inputs: Inputs, asked: Asked) -> bool:
    return asked.sheet is not None or inputs.length is not None


def _precision(model: Any) -> str:
    """`int8` for a graph that computes in integers; its own floats are `fp32` whatever they are stored as."""
    return "int8" if any(node.op_type in _INTEGERS for node in model.graph.node) else "fp32"


def _session(raw: bytes, name: str) -> InferenceSession:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base but Exception
        words = str(error)
        if found := _UNKNOWN_OPERATOR.search(words):
            raise InvalidInput("onnx_operator_unknown", operator=shorten(found.group(1) or words, 100), details=words) from error
        if _TOO_NEW.search(words):
            raise InvalidInput("onnx_too_new", version=ort.__version__, details=words) from error
        raise InvalidInput(
            "foreign_file_broke", file=name, problem=shorten(words.rpartition(":")[2].strip(), 200), details=words
        ) from error


def _first_row(inputs: Inputs, asked: Asked) -> dict[str, npt.NDArray[Any]]:
    """A row for the graph as it came, under its own names."""
    length = inputs.length or min(_LENGTHS[0], asked.lengths[0])
    types = {1: np.float32, 6: np.int32, 7: np.int64}
    kept = {inputs.ids: asked.largest_id, inputs.mask: 1, inputs.types: 0}
    return {name: np.full((1, length), kept[name], dtype=types[number]) for name, number in inputs.classes.items()}


def _run(session: InferenceSession, arrays: dict[str, npt.NDArray[Any]], name: str) -> dict[str, npt.NDArray[Any]]:
    names = [item.name for item in session.get_outputs()]
    try:
        return dict(zip(names, session.run(names, arrays), strict=True))
    except Exception as error:  # as above
        if "indices element out of data bounds" in str(error):
            problem = f"token id {int(max(values.max() for values in arrays.values()))} for the model's embedding rows"
            raise InvalidInput("tokenizer_does_not_fit", problem=problem, details=str(error)) from error
        raise InvalidInput("onnx_does_not_run", file=name, problem=shorten(str(error), 300), details=str(error)) from error


def _try(session: InferenceSession, asked: Asked, inputs: Inputs, *, has_types: bool, name: str) -> tuple[bool, int]:
    """Whether a row's answer depends on its neighbours' length, and how many tokens a text may have."""
    longest = 0
    fixed = asked.sheet.length if asked.sheet else inputs.length
    for length in (fixed,) if fixed else asked.lengths:
        try:
            found = _answers(session, asked, [[asked.largest_id] * length], has_types, name)
            longest = length
            break
        except InvalidInput as error:
            last = error
    if not longest:
        raise last
    if not np.isfinite(found).all():
        raise InvalidInput("onnx_does_not_run", file=name, problem="its answer is not finite")
    if inputs.batch == 1:
        return True, longest
    rows = [[(7 * place + row) % (asked.largest_id + 1) for place in range(min(size, longest))] for row, size in enumerate(_LENGTHS)]
    together = _answers(session, asked, rows, has_types, name)
    strays = 0.0
    for row, ids in enumerate(rows):
        alone = _answers(session, asked, [ids], has_types, name)[0]
        crowd = together[row, : len(ids)] if together.ndim == 3 else together[row]
        strays = max(strays, float(np.abs(alone - crowd).max() / max(1.0, float(np.abs(alone).max()))))
    return strays > NEIGHBOUR_TOLERANCE, longest


def _answers(session: InferenceSession, asked: Asked, rows: Sequence[Sequence[int]], has_types: bool, name: str) -> npt.NDArray[Any]:
    ids = np.full((len(rows), max(map(len, rows))), asked.pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
    arrays = {"input_ids": ids, "attention_mask": mask} | ({"token_type_ids": np.zeros_like(ids)} if has_types else {})
    return _run(session, arrays, name)[asked.output]


if __name__ == "__main__":
    sys.exit(answer(convert))
