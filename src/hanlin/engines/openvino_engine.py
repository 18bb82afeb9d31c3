"""The `openvino` engine: `variants/openvino/model.xml` in fp32 or bf16, `variants/openvino-int8/model.xml` and `-int4` (NNCF).

Networks that write are stepped by `openvino_writer.py`.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from hanlin.engines.base import ENGINES, Capabilities, Floats, Ids, check_tokens, import_extra, load_failed, require_file, step_failed
from hanlin.engines.onnxruntime_engine import check_names, feeds
from hanlin.engines.pieces import PIECE_TOKENS, cut, together
from hanlin.engines.streams import AUTO, Streams
from hanlin.errors import EngineFailed
from hanlin.networks.head import TOKENS, Head
from hanlin.observe.machine import processor
from hanlin.tasks.spec import FILE_NAME, ModelSpec

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, InferRequest

    from hanlin.engines.openvino_writer import OpenvinoWriter

MIN_TOKENS_TO_CUT = 128


@dataclass(frozen=True, slots=True)
class Thrift:
    """What a model spends memory on for speed.

    What the plugin prepares for a shape (6 ms of a 7 ms step) it keeps: 64 MB of MiniLM were 416 after 420 shapes. So there are few
    widths, and few are kept. A model with one thread is one of many in its process: pieces half as large need half the room for their
    inner values, and fewer widths need fewer kept. A further MiniLM int8 took 60 MB without and 42 with, and no text more processor time.

    Attributes:
        piece_tokens: of a piece, padding included.
        steps_of_width: up to which width they are multiples of what.
        widest_step: of what those beyond are.
        kept: primitives, two or three a shape.
    """

    piece_tokens: int
    steps_of_width: tuple[tuple[int, int], ...]
    widest_step: int
    kept: int


LAVISH = Thrift(PIECE_TOKENS, ((64, 4), (256, 8)), 16, 200)
LEAN = Thrift(PIECE_TOKENS // 2, ((64, 4), (256, 16)), 32, 30)


def import_openvino() -> ModuleType:
    """The openvino package with its usage reports switched off. Raises InvalidInput (`missing_extra`).

    Its converter and NNCF report use to Google Analytics unless `openvino_telemetry` cannot be imported, which both of them expect.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # Python's own way to make an import fail
    return import_extra("openvino", extra="server", feature="the openvino engine")


class OpenvinoSession:
    """A small step that runs alone has all threads; others have one each, side by side; a large one is cut into pieces among them.

    Pieces need no barrier between the threads, fit the processor's cache, and are only as wide as their own longest row.
    As many threads as there are streams may be in `run` at once.
    """

    step_tokens: int | None = PIECE_TOKENS

    def __init__(
        self, whole: CompiledModel, pieces: CompiledModel, variant: str, *, output: str, streams: int, thrift: Thrift, max_length: int,
        has_tokens: bool
    ) -> None:  # fmt: skip
        self.num_streams = streams
        self._thrift = thrift
        self._max_length = max_length
        self._models: tuple[CompiledModel, ...] = (whole, pieces)
        self._whole: InferRequest | None = whole.create_infer_request()
        self._has_whole = threading.Lock()
        self._free: SimpleQueue[InferRequest] = SimpleQueue()
        for _ in range(streams):
            self._free.put(pieces.create_infer_request())
        self._variant = variant
        self._names = (output,)
        self.has_tokens = has_tokens

    def run(
        self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """See `Session.run`."""
        assert self._whole is not None, "closed session"
        if with_tokens:
            check_tokens(self._variant, has_tokens=self.has_tokens)
        names = (*self._names, TOKENS) if with_tokens else self._names
        arrays = feeds(input_ids, attention_mask, token_type_ids)
        try:
            if self._may_have_all_threads(input_ids) and self._has_whole.acquire(blocking=False):
                try:
                    return self._infer(self._whole, arrays, names, is_shared=True)
                finally:
                    self._has_whole.release()
            return self._run_aside(arrays, names)
        except RuntimeError as error:
            raise step_failed(self._variant, error) from error

    def _may_have_all_threads(self, input_ids: Ids) -> bool:
        is_small = len(input_ids) < 2 * self.num_streams or input_ids.size < MIN_TOKENS_TO_CUT
        return is_small and self._free.qsize() == self.num_streams

    def _run_aside(self, arrays: Mapping[str, Ids], names: Sequence[str]) -> Mapping[str, Floats]:
        requests = [self._free.get()]
        try:
            ids = arrays["input_ids"]
            if len(ids) == 1 or ids.size <= self._thrift.piece_tokens:  # one piece: the other streams stay free
                return self._infer(requests[0], arrays, names, is_shared=False)
            with suppress(Empty):
                while True:
                    requests.append(self._free.get_nowait())
            return self._run_pieces(arrays, names, requests)
        except RuntimeError:
            for request in requests:  # pieces of a failed step must not meet the next one (a cancelled request fails once more)
                with suppress(RuntimeError):
                    request.wait()
            raise
        finally:
            for request in requests:
                self._free.put(request)

    def _run_pieces(self, arrays: Mapping[str, Ids], names: Sequence[str], requests: Sequence[InferRequest]) -> Mapping[str, Floats]:
        lengths = arrays["attention_mask"].sum(axis=1)
        pieces = cut(lengths, len(requests), self._thrift.piece_tokens)
        found: list[list[Floats]] = []
        width = len(requests)
        for number in range(len(pieces) + width):
            request = requests[number % width]
            if number >= width:
                request.wait()
                found.append(_found(request, names))
            if number < len(pieces):
                rows, longest = pieces[number], max(1, int(lengths[pieces[number]].max()))
                piece = {name: array[rows, :longest] for name, array in arrays.items()}
                request.start_async(widened(piece, self._max_length, self._thrift))
        return {
            name: together(parts, pieces, arrays["input_ids"].shape) for name, parts in zip(names, zip(*found, strict=True), strict=True)
        }

    def _infer(self, request: InferRequest, arrays: Mapping[str, Ids], names: Sequence[str], *, is_shared: bool) -> Mapping[str, Floats]:
        # A request that once shared our memory would copy the inputs of `start_async` into it: those that run pieces never share.
        request.infer(widened(arrays, self._max_length, self._thrift), share_inputs=is_shared)
        length = arrays["input_ids"].shape[1]
        found = zip(names, _found(request, names), strict=True)
        return {name: values[:, :length] if values.ndim == 3 else values for name, values in found}

    def rest(self) -> None:
        """See `RestingSession`."""
        for model in self._models:
            with suppress(RuntimeError):  # one of its steps runs, and keeps its buffers
                model.release_memory()

    def close(self) -> None:
        """Drop requests and models."""
        self._models, self._whole, self._free = (), None, SimpleQueue()


def _thrift(threads: int) -> Thrift:
    return LAVISH if threads > 1 else LEAN


def _found(request: InferRequest, names: Sequence[str]) -> list[Floats]:
    # An output tensor is the request's own memory: copy before the next step overwrites it.
    return [np.array(request.get_tensor(name).data, dtype=np.float32) for name in names]


def widened(arrays: Mapping[str, Ids], max_length: int, thrift: Thrift = LAVISH) -> dict[str, Ids]:
    """The same rows in one of few widths, filled up with zeros, which the mask hides; never wider than the model takes."""
    rows, length = arrays["attention_mask"].shape
    step = next((step for limit, step in thrift.steps_of_width if length <= limit), thrift.widest_step)
    width = max(length, min(-(-length // step) * step, max_length))
    found: dict[str, Ids] = {}
    for name, array in arrays.items():
        found[name] = np.zeros((rows, width), dtype=np.int64)
        found[name][:, :length] = array
    return found


@ENGINES.register("openvino")
class OpenvinoEngine:
    """OpenVINO's CPU plugin: one stream of `threads` threads for lowest latency, `threads` streams of one for batches, or as is told."""

    name = "openvino"
    capabilities = Capabilities(precisions=("fp32", "bf16", "int8", "int4"), writer_precisions=("int4",), writes=True, drafts=True)

    def is_batch_invariant(self, precision: str) -> bool:
        """int8 uses static scales, weights alone are in 4 bits: neighbours do not matter."""
        return True

    def files(self, precision: str) -> tuple[str, ...]:
        """fp32 and bf16 share one model; bf16 is chosen when it is compiled."""
        folder = f"variants/openvino-{precision}" if precision.startswith("int") else "variants/openvino"
        return (f"{folder}/model.xml", f"{folder}/model.bin")

    def prepare(self) -> None:
        """Import the library and its CPU plugin."""
        _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")

    def load(self, folder: Path, precision: str, *, threads: int) -> OpenvinoSession | OpenvinoWriter:
        """See `Engine.load`."""
        return self.load_streams(folder, precision, threads=threads, streams=AUTO)

    def load_streams(self, folder: Path, precision: str, *, threads: int, streams: Streams) -> OpenvinoSession | OpenvinoWriter:
        """See `StreamsEngine.load_streams`. Networks that write have one stream."""
        variant = f"openvino-{precision}"
        xml, weights = (require_file(folder / name, variant) for name in self.files(precision))
        core = _core()
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and not has_bf16:
            raise EngineFailed("precision_unsupported", variant=variant, precision=precision)
        # int8 keeps its other operators in fp32: with bf16 and two streams the plugin answers nonsense on AMX (2026.4), and alone and
        # in pieces must be the same.
        hint = "bf16" if precision == "bf16" else "f32"
        one, count = _config("LATENCY", 1, threads, hint, streams), streams.among(threads)
        head = Head.load(folder)
        if head.output == "sequences":
            from hanlin.engines.openvino_writer import load_writer

            kept = {"KV_CACHE_PRECISION": "f32" if precision == "fp32" else "f16"}
            return load_writer(core, folder, variant, (xml, weights), one | kept)
        try:
            model = core.read_model(str(xml), str(weights))
            whole = core.compile_model(model, "CPU", one)
            many = _config("THROUGHPUT", count, threads, hint, streams)
            pieces = core.compile_model(model, "CPU", many) if count > 1 else whole
        except Exception as error:  # native exceptions of several kinds
            raise load_failed(variant, "model.xml or model.bin is damaged or not a valid model", details=str(error)) from error
        outputs = set().union(*(o.names for o in whole.outputs))
        check_names(variant, head, {_known_name(i.names, head) for i in whole.inputs}, outputs)
        return OpenvinoSession(
            whole, pieces, variant, output=head.output, streams=count, thrift=_thrift(threads), max_length=_longest(folder),
            has_tokens=TOKENS in outputs
        )  # fmt: skip


def _known_name(names: set[str], head: Head) -> str:
    """The one that we call an input by: where a graph only converts it, what comes out of that is the same to OpenVINO."""
    return next((name for name in head.inputs if name in names), min(names))


def _longest(folder: Path) -> int:
    """Tokens of the longest text; 0, which widens nothing, for a model that padding disturbs or a bare graph that no artifact describes."""
    spec = ModelSpec.load(folder) if (folder / FILE_NAME).is_file() else None
    return spec.max_length if spec and not spec.is_alone else 0


@functools.cache
def _core() -> Core:
    """One for all models of a process: they share its plugin and its threads.

    An array is handed over here, before there can be two threads that do it for the first time: pybind11's look-up of numpy inside
    OpenVINO's bindings (2026.4) deadlocks then, and a worker that warms up two streams at once hung in one start of six.
    """
    openvino = import_openvino()
    openvino.Tensor(np.zeros(1, dtype=np.int64))
    core: Core = openvino.Core()
    return core


def _config(hint: str, count: int, threads: int, precision: str, streams: Streams) -> dict[str, str]:
    return {
        "PERFORMANCE_HINT": hint,
        "NUM_STREAMS": str(count),
        "INFERENCE_NUM_THREADS": str(threads),
        "INFERENCE_PRECISION_HINT": precision,
        "ENABLE_CPU_PINNING": "YES" if streams.is_pinned(threads, processor().cores) else "NO",
        "CPU_RUNTIME_CACHE_CAPACITY": str(_thrift(threads).kept),
    }
