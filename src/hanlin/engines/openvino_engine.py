"""The `openvino` engine: `variants/openvino/model.xml` in fp32 or bf16, `variants/openvino-int8/model.xml` (NNCF)."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hanlin.engines.base import ENGINES, Capabilities, Floats, Ids, import_extra, load_failed, require_file, step_failed
from hanlin.engines.onnx_engine import check_names, feeds
from hanlin.errors import EngineFailed
from hanlin.networks.head import Head

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, InferRequest

PIECE_TOKENS = 512  # inner values of one piece (512 x 1,536 floats for MiniLM) stay in a core's cache
MIN_TOKENS_TO_CUT = 128


def import_openvino() -> ModuleType:
    """The openvino package with its usage reports switched off. Raises InvalidInput (`missing_extra`).

    Its converter and NNCF report use to Google Analytics unless `openvino_telemetry` cannot be imported, which both of them expect.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # Python's own way to make an import fail
    return import_extra("openvino", extra="server", feature="the openvino engine")


class OpenvinoSession:
    """A small step runs on all threads at once; a large one in pieces, one thread each, several side by side.

    Pieces need no barrier between the threads, fit the processor's cache, and are only as wide as their own longest row.
    """

    def __init__(self, whole: CompiledModel, pieces: CompiledModel, variant: str, *, output: str, threads: int) -> None:
        self._whole: InferRequest | None = whole.create_infer_request()
        self._side_by_side = [pieces.create_infer_request() for _ in range(threads)]
        self._variant = variant
        self._output = output

    def run(self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None) -> Mapping[str, Floats]:
        """See `Session.run`."""
        assert self._whole is not None, "closed session"
        arrays = feeds(input_ids, attention_mask, token_type_ids)
        try:
            if len(input_ids) < 2 * len(self._side_by_side) or input_ids.size < MIN_TOKENS_TO_CUT:
                self._whole.infer(arrays, share_inputs=True)
                return {self._output: self._found(self._whole)}
            return {self._output: self._run_pieces(arrays)}
        except RuntimeError as error:
            for request in self._side_by_side:
                request.cancel()  # pieces of a failed step must not meet the next one
            raise step_failed(self._variant, error) from error

    def _run_pieces(self, arrays: Mapping[str, Ids]) -> Floats:
        lengths = arrays["attention_mask"].sum(axis=1)
        pieces = cut(lengths, len(self._side_by_side))
        found: list[Floats] = []
        width = len(self._side_by_side)
        for number in range(len(pieces) + width):
            request = self._side_by_side[number % width]
            if number >= width:
                request.wait()
                found.append(self._found(request))
            if number < len(pieces):
                rows, longest = pieces[number], max(1, int(lengths[pieces[number]].max()))
                request.start_async({name: np.ascontiguousarray(array[rows, :longest]) for name, array in arrays.items()})
        return together(found, pieces, arrays["input_ids"].shape)

    def _found(self, request: InferRequest) -> Floats:
        # The output tensor is the request's own memory: copy before the next step overwrites it.
        return np.array(request.get_tensor(self._output).data, dtype=np.float32)

    def close(self) -> None:
        """Drop requests and models."""
        self._whole, self._side_by_side = None, []


def cut(lengths: npt.NDArray[np.int64], parts: int) -> list[npt.NDArray[np.int64]]:
    """Rows by length in pieces of at most 512 tokens, padding included, and in at least `parts` pieces of about the same size."""
    order = np.argsort(lengths, kind="stable")
    limit = max(1, min(PIECE_TOKENS, -(-int(lengths.sum()) // parts)))
    pieces: list[list[int]] = [[]]
    for row in order.tolist():
        if pieces[-1] and (len(pieces[-1]) + 1) * int(lengths[row]) > limit:
            pieces.append([])
        pieces[-1].append(row)
    return [np.array(piece) for piece in pieces]


def together(found: list[Floats], pieces: list[npt.NDArray[np.int64]], shape: tuple[int, ...]) -> Floats:
    """The pieces' outputs in the order of the batch, which has `shape` (rows, length); outputs of tokens get the batch's own length."""
    is_by_token = found[0].ndim == 3
    answers = np.zeros((*shape, found[0].shape[2]) if is_by_token else (shape[0], found[0].shape[1]), dtype=np.float32)
    for rows, values in zip(pieces, found, strict=True):
        if is_by_token:
            answers[rows, : values.shape[1]] = values
        else:
            answers[rows] = values
    return answers


@ENGINES.register("openvino")
class OpenvinoEngine:
    """OpenVINO's CPU plugin: one stream of `threads` threads for lowest latency, `threads` streams of one for batches."""

    name = "openvino"
    capabilities = Capabilities(precisions=("fp32", "bf16", "int8"))

    def is_batch_invariant(self, precision: str) -> bool:
        """int8 uses static scales, so neighbours do not matter."""
        return True

    def files(self, precision: str) -> tuple[str, ...]:
        """fp32 and bf16 share one model; bf16 is chosen when it is compiled."""
        folder = "variants/openvino-int8" if precision == "int8" else "variants/openvino"
        return (f"{folder}/model.xml", f"{folder}/model.bin")

    def prepare(self) -> None:
        """Import the library and its CPU plugin."""
        _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")

    def load(self, folder: Path, precision: str, *, threads: int) -> OpenvinoSession:
        """See `Engine.load`."""
        variant = f"openvino-{precision}"
        xml, weights = (require_file(folder / name, variant) for name in self.files(precision))
        core = _core()
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and not has_bf16:
            raise EngineFailed("precision_unsupported", variant=variant, precision=precision)
        hint = "f32" if precision == "fp32" or not has_bf16 else "bf16"
        try:
            model = core.read_model(str(xml), str(weights))
            whole = core.compile_model(model, "CPU", _config("LATENCY", 1, threads, hint))
            pieces = core.compile_model(model, "CPU", _config("THROUGHPUT", threads, threads, hint)) if threads > 1 else whole
        except Exception as error:  # native exceptions of several kinds
            raise load_failed(variant, "model.xml or model.bin is damaged or not a valid model", details=str(error)) from error
        head = Head.load(folder)
        check_names(variant, head, set().union(*(i.names for i in whole.inputs)), set().union(*(o.names for o in whole.outputs)))
        return OpenvinoSession(whole, pieces, variant, output=head.output, threads=threads)


@functools.cache
def _core() -> Core:
    """One for all models of a process: they share its plugin and its threads."""
    core: Core = import_openvino().Core()
    return core


def _config(hint: str, streams: int, threads: int, precision: str) -> dict[str, str]:
    return {
        "PERFORMANCE_HINT": hint,
        "NUM_STREAMS": str(streams),
        "INFERENCE_NUM_THREADS": str(threads),
        "INFERENCE_PRECISION_HINT": precision,
    }
