"""The `openvino` engine: `variants/openvino/model.xml` in fp32 or bf16, `variants/openvino-int8/model.xml` (NNCF)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from hanlin.engines.base import ENGINES, Capabilities, Ids, Logits, import_extra, load_failed, require_file, step_failed
from hanlin.engines.onnx_engine import check_names
from hanlin.errors import EngineFailed

if TYPE_CHECKING:
    from openvino import CompiledModel


def import_openvino() -> ModuleType:
    """The openvino package with its usage reports switched off. Raises InvalidInput (`missing_extra`).

    Its converter and NNCF report use to Google Analytics unless `openvino_telemetry` cannot be imported, which both of them expect.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # Python's own way to make an import fail
    return import_extra("openvino", extra="server", feature="the openvino engine")


class OpenvinoSession:
    """One compiled model and its one infer request, used again for every step."""

    def __init__(self, compiled: CompiledModel, variant: str) -> None:
        self._request = compiled.create_infer_request()
        self._variant = variant

    def run(self, input_ids: Ids, attention_mask: Ids) -> Mapping[str, Logits]:
        """See `Session.run`."""
        assert self._request is not None, "closed session"
        try:
            self._request.infer({"input_ids": input_ids, "attention_mask": attention_mask}, share_inputs=True)
        except RuntimeError as error:
            raise step_failed(self._variant, error) from error
        # The output tensor is the request's own memory: copy before the next step overwrites it.
        return {"logits": np.array(self._request.get_tensor("logits").data, dtype=np.float32)}

    def close(self) -> None:
        """Drop request and model."""
        self._request = None


@ENGINES.register("openvino")
class OpenvinoEngine:
    """OpenVINO's CPU plugin, one stream of `threads` threads: lowest latency, and batches fill the cores."""

    name = "openvino"
    capabilities = Capabilities(precisions=("fp32", "bf16", "int8"))

    def is_batch_invariant(self, precision: str) -> bool:
        """int8 uses static scales, so neighbours do not matter."""
        return True

    def files(self, precision: str) -> tuple[str, ...]:
        """fp32 and bf16 share one model; bf16 is chosen when it is compiled."""
        folder = "variants/openvino-int8" if precision == "int8" else "variants/openvino"
        return (f"{folder}/model.xml", f"{folder}/model.bin")

    def load(self, folder: Path, precision: str, *, threads: int) -> OpenvinoSession:
        """See `Engine.load`."""
        variant = f"openvino-{precision}"
        xml, weights = (require_file(folder / name, variant) for name in self.files(precision))
        openvino = import_openvino()
        core = openvino.Core()
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and not has_bf16:
            raise EngineFailed("precision_unsupported", variant=variant, precision=precision)
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(threads),
            "INFERENCE_PRECISION_HINT": "f32" if precision == "fp32" or not has_bf16 else "bf16",
        }
        try:
            compiled = core.compile_model(core.read_model(str(xml), str(weights)), "CPU", config)
        except Exception as error:  # native exceptions of several kinds
            raise load_failed(variant, "model.xml or model.bin is damaged or not a valid model", details=str(error)) from error
        check_names(variant, set().union(*(i.names for i in compiled.inputs)), set().union(*(o.names for o in compiled.outputs)))
        return OpenvinoSession(compiled, variant)
