"""The `onnxruntime` engine: `variants/onnxruntime-<precision>/model.onnx` on the CPU provider.

int8 is dynamic quantisation: its activation scales are taken over the whole tensor, so a row's numbers depend on its
neighbours and the variant runs at batch 1 only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from hanlin.engines.base import ENGINES, Capabilities, Floats, Ids, check_tokens, import_extra, load_failed, require_file, step_failed
from hanlin.engines.onnx_file import max_threads, refuse_external_data
from hanlin.networks.head import TOKENS, Head

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class OnnxSession:
    """One InferenceSession."""

    num_streams = 1
    step_tokens: int | None = None

    def __init__(self, session: InferenceSession, variant: str, *, output: str, has_tokens: bool = False) -> None:
        self._session: InferenceSession | None = session
        self._variant = variant
        self._names = [output]
        self.has_tokens = has_tokens

    def run(
        self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """See `Session.run`."""
        assert self._session is not None, "closed session"
        if with_tokens:
            check_tokens(self._variant, has_tokens=self.has_tokens)
        names = [*self._names, TOKENS] if with_tokens else self._names
        try:
            found = self._session.run(names, feeds(input_ids, attention_mask, token_type_ids))
        except Exception as error:  # its exceptions share no base but Exception
            raise step_failed(self._variant, error) from error
        return {name: np.asarray(values, dtype=np.float32) for name, values in zip(names, found, strict=True)}

    @property
    def num_threads(self) -> int:
        """How many threads a step runs on."""
        assert self._session is not None, "closed session"
        return int(self._session.get_session_options().intra_op_num_threads)

    def close(self) -> None:
        """Drop the session."""
        self._session = None


@ENGINES.register("onnxruntime")
class OnnxEngine:
    """ONNX Runtime with one intra-op pool of `threads` threads, or of fewer where the model's file says that more do not help."""

    name = "onnxruntime"
    capabilities = Capabilities(precisions=("fp32", "int8"))

    def is_batch_invariant(self, precision: str) -> bool:
        """Dynamic int8 is not: one scale for the whole batch."""
        return precision != "int8"

    def files(self, precision: str) -> tuple[str, ...]:
        """One self-contained file."""
        return (f"variants/onnxruntime-{precision}/model.onnx",)

    def prepare(self) -> None:
        """Import the library."""
        _import_onnxruntime()

    def load(self, folder: Path, precision: str, *, threads: int) -> OnnxSession:
        """See `Engine.load`."""
        variant = f"onnxruntime-{precision}"
        path = require_file(folder / self.files(precision)[0], variant)
        refuse_external_data(path)
        ort = _import_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = min(threads, max_threads(path) or threads)
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        # Threads that spin between steps take the core from the thread that reads requests: p50 of a call 28 ms instead of 9.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base but Exception
            raise load_failed(variant, "model.onnx is damaged or not a valid model", details=f"{type(error).__name__}: {error}") from error
        head = Head.load(folder)
        outputs = {o.name for o in session.get_outputs()}
        check_names(variant, head, {i.name for i in session.get_inputs()}, outputs)
        return OnnxSession(session, variant, output=head.output, has_tokens=TOKENS in outputs)


def _import_onnxruntime() -> ModuleType:
    return import_extra("onnxruntime", extra="server", feature="the onnxruntime engine")


def feeds(input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None) -> dict[str, Ids]:
    """The arrays of a step by the names that graphs give them."""
    found = {"input_ids": input_ids, "attention_mask": attention_mask}
    return found if token_type_ids is None else found | {"token_type_ids": token_type_ids}


def check_names(variant: str, head: Head, inputs: set[str], outputs: set[str]) -> None:
    """Raises EngineFailed unless the graph takes and gives what the artifact's head says."""
    if inputs != set(head.inputs) or head.output not in outputs:
        wanted = f"{', '.join(head.inputs)} → {head.output}"
        raise load_failed(variant, f"its graph takes {sorted(inputs)} and gives {sorted(outputs)} instead of {wanted}")
