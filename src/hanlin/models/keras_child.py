"""Child process: reads a Keras file, has Keras answer, and gives the same model back as an ONNX graph under our names.

python -m hanlin.models.keras_child FILE ARGUMENTS    → the graph on stdout, what was found on stderr (see `child.py`)
"""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hanlin.errors import InvalidInput
from hanlin.models import keras_file, onnx_child
from hanlin.models.child import answer
from hanlin.models.onnx_child import Asked
from hanlin.models.onnx_graph import Sheet
from hanlin.types import JsonObject, shorten

TOLERANCE = 1e-4  # between Keras's own answers and the graph's
OPSET = 17
MAX_STEPS = 4096
MAX_WRITTEN_STEPS = 400  # of a recurrence that is written out step by step
_ROWS = 8


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what Keras and torch say on the way; the process's logging is as before then."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@_quietly()
def convert(path: Path, arguments: JsonObject) -> tuple[bytes, JsonObject]:
    """The model as a graph, and what `onnx_child.convert` says of it.

    Args:
        path: the `.keras` or `.h5` file.
        arguments: of `Asked`, whose sheet has the length 0 where nobody but the file says it.

    Raises:
        InvalidInput: as `keras_file.check` and `onnx_child.rewrite`; `keras_shape_wrong`, `keras_length_missing`, `keras_differs`,
            `keras_not_converted`.
    """
    keras_file.check(path)
    asked = Asked.from_json(arguments)
    assert asked.sheet is not None, "Keras rows have a length"
    model = _load(path)
    sheet = _sheet(model, asked.sheet, path)
    if len(model.outputs) == 1 and len(model.outputs[0].shape) == 3 and sheet.padding == "pre":
        raise InvalidInput("keras_shape_wrong", found="(batch, length, labels), padding: pre", file=path.name)
    _check_vocabulary(model, asked.largest_id)
    rows = _rows(sheet, asked.largest_id)
    try:
        wanted = np.asarray(model.predict(rows, verbose=0))
    except Exception as error:  # whatever its layers raise
        problem = shorten(str(error), 300)
        raise InvalidInput("onnx_does_not_run", file=path.name, problem=problem, details=str(error)) from error
    raw = _graph(model, sheet, rows, wanted, path)
    return onnx_child.rewrite(raw, replace(asked, sheet=sheet), name=path.name)


def _load(path: Path) -> Any:
    os.environ["KERAS_BACKEND"] = "torch"
    os.environ["KERAS_HOME"] = str(path.parent)  # it looks for settings there; none is written
    try:
        import keras
    except ModuleNotFoundError as error:
        raise InvalidInput("missing_extra", feature="Keras files", extra="keras", details=str(error)) from error
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever it likes
        problem = shorten(" ".join(str(error).split()), 300)
        raise InvalidInput("foreign_file_broke", file=path.name, problem=problem, details=str(error)) from error


def _sheet(model: Any, sheet: Sheet, path: Path) -> Sheet:
    """With the length of the model's own input, or where that is free the one that was told."""
    shapes = [tuple(item.shape) for item in model.inputs] if model.built else []
    if len(shapes) != 1 or len(shapes[0]) != 2 or len(model.outputs) != 1:
        raise InvalidInput("keras_shape_wrong", found=shorten(", ".join(map(str, shapes)) or "no input", 200), file=path.name)
    length = shapes[0][1] or sheet.length
    if not length:
        raise InvalidInput("keras_length_missing", file=path.name)
    if (sheet.length and sheet.length != length) or length > MAX_STEPS:
        raise InvalidInput("keras_shape_wrong", found=f"{shapes[0]}, maxlen {sheet.length}", file=path.name)
    return replace(sheet, length=length)


def _check_vocabulary(model: Any, largest_id: int) -> None:
    """Raises InvalidInput (`tokenizer_does_not_fit`) where a word has no row in the embedding."""
    rows = [int(layer.input_dim) for layer in model._flatten_layers() if type(layer).__name__ == "Embedding"]
    if rows and largest_id >= min(rows):
        raise InvalidInput("tokenizer_does_not_fit", problem=f"token id {largest_id} for {min(rows)} embedding rows")


def _rows(sheet: Sheet, largest_id: int) -> npt.NDArray[np.int32]:
    """Rows from empty to full, filled up at the model's own end."""
    chance = np.random.default_rng(0)
    rows = np.full((_ROWS, sheet.length), sheet.pad_id, dtype=np.int32)
    for number, row in enumerate(rows):
        count = sheet.length * number // (_ROWS - 1)
        ids = chance.integers(0, largest_id + 1, count)
        if sheet.padding == "pre":
            row[sheet.length - count :] = ids
        else:
            row[:count] = ids
    return rows


def _graph(model: Any, sheet: Sheet, rows: npt.NDArray[np.int32], wanted: npt.NDArray[Any], path: Path) -> bytes:
    """With fused recurrences where they are Keras's own, else as Keras runs."""
    from hanlin.models.keras_recurrence import fused

    try:
        with fused():
            raw = _exported(model, sheet)
        if _difference(raw, rows, wanted) <= TOLERANCE:
            return raw
    except Exception as error:  # tracer and layers raise anything; the plain way decides
        if sheet.length > MAX_WRITTEN_STEPS:
            problem = shorten(" ".join(str(error).split()), 200)
            raise InvalidInput("keras_not_converted", file=path.name, problem=problem, details=str(error)) from error
    try:
        raw = _exported(model, sheet)
        found = _difference(raw, rows, wanted)
    except Exception as error:  # as above
        problem = shorten(" ".join(str(error).split()), 200)
        raise InvalidInput("keras_not_converted", file=path.name, problem=problem, details=str(error)) from error
    if found > TOLERANCE:
        raise InvalidInput("keras_differs", file=path.name, difference=f"{found:.2g}", limit=TOLERANCE)
    return raw


def _exported(model: Any, sheet: Sheet) -> bytes:
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any) -> Any:
            return self.model(ids, training=False)

    out = io.BytesIO()
    ids = torch.ones(3, sheet.length, dtype=torch.int32)
    torch.onnx.export(
        Network().eval(), (ids,), out, input_names=["input_ids"], output_names=["output"],  # type: ignore[arg-type]  # a stream will do
        dynamic_axes={"input_ids": {0: "batch"}, "output": {0: "batch"}}, opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    return out.getvalue()


def _difference(raw: bytes, rows: npt.NDArray[np.int32], wanted: npt.NDArray[Any]) -> float:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    whole, last = (session.run(None, {"input_ids": part})[0] for part in (rows, rows[-1:]))
    if whole.shape != wanted.shape:
        return float("inf")
    return max(float(np.abs(whole - wanted).max()), float(np.abs(last - wanted[-1:]).max()))


if __name__ == "__main__":
    sys.exit(answer(convert))
