"""The `inductor` engine: the network as machine code, compiled ahead of time by torch's own compiler; one form for all shapes.

`variants/inductor-<precision>/model.so` holds code and weights, `compiled.json` what it was compiled for. It is run only where that
holds, and only when its bytes are the ones that were written: a library that has been cut short would kill the process.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from hanlin.engines.base import ENGINES, Capabilities, Floats, Ids, check_tokens, load_failed, require_file, step_failed
from hanlin.engines.inductor_library import InductorLibrary
from hanlin.engines.torch_library import import_torch
from hanlin.errors import EngineFailed
from hanlin.networks.head import TOKENS, Head
from hanlin.observe.machine import processor


class Compiled(msgspec.Struct, frozen=True):
    """What a library was compiled for.

    Args:
        sha256: of the library.
        torch: version; the library calls into that one.
        machine: kind of machine, such as `x86_64`.
        flags: vector units it may use (`observe.machine.VECTOR_UNITS`).
        max_length: tokens of the longest row.
        vocab_size: ids are below it. Both are checked here: its code ends the process over an id, and reads anything at a position.
    """

    sha256: str
    torch: str
    machine: str
    flags: tuple[str, ...]
    max_length: int
    vocab_size: int

    @classmethod
    def here(cls, library: Path, *, torch_version: str, max_length: int, vocab_size: int) -> Compiled:
        """Of a library that was compiled on this machine."""
        return cls(digest_of(library), torch_version, platform.machine(), processor().flags, max_length, vocab_size)

    def takes(self, ids: Ids) -> bool:
        """Whether it can run these rows."""
        return bool(ids.size) and ids.shape[1] <= self.max_length and int(ids.min()) >= 0 and int(ids.max()) < self.vocab_size

    def problem(self, torch_version: str) -> str:
        """Why it cannot run on this machine; empty when it can."""
        if (self.torch, self.machine) != (torch_version, platform.machine()):
            found = f"torch {torch_version} on {platform.machine()}"
            return f"it was compiled for torch {self.torch} on {self.machine}, this is {found}"
        if missing := sorted(set(self.flags) - set(processor().flags)):
            return f"it was compiled for a processor with {', '.join(missing)}"
        return ""


class InductorSession:
    """A compiled network; every step has all threads. Python's lock is free while it computes."""

    num_streams = 1
    step_tokens: int | None = None

    def __init__(self, library: InductorLibrary, variant: str, *, output: str, compiled: Compiled) -> None:
        self._library: InductorLibrary | None = library
        self._variant = variant
        self._output = output
        self._compiled = compiled
        self.has_tokens = library.num_outputs == 2

    def run(
        self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """See `Session.run`."""
        import torch

        assert self._library is not None, "closed session"
        if with_tokens:
            check_tokens(self._variant, has_tokens=self.has_tokens)
        arrays = (input_ids, attention_mask) if token_type_ids is None else (input_ids, attention_mask, token_type_ids)
        try:
            if not self._compiled.takes(input_ids):
                raise ValueError(f"ids of shape {input_ids.shape} are not what it was compiled for")
            with torch.inference_mode():
                found = self._library.run([torch.from_numpy(array) for array in arrays])
            names = (self._output, TOKENS) if with_tokens else (self._output,)
            return {name: np.array(values.float().numpy(), dtype=np.float32) for name, values in zip(names, found, strict=False)}
        except (RuntimeError, ValueError) as error:
            raise step_failed(self._variant, error) from error

    def close(self) -> None:
        """Free the model."""
        if self._library is not None:
            self._library.close()
            self._library = None


@ENGINES.register("inductor")
class InductorEngine:
    """Compiled PyTorch on the CPU. Sets the process-wide thread count."""

    name = "inductor"
    capabilities = Capabilities(precisions=("fp32", "bf16"), is_measured_unasked=False)

    def is_batch_invariant(self, precision: str) -> bool:
        """fp32 up to 1e-4; bf16 up to rounding, as for `torch`."""
        return True

    def files(self, precision: str) -> tuple[str, ...]:
        """Code with weights, and what it was compiled for."""
        return (f"variants/inductor-{precision}/model.so", f"variants/inductor-{precision}/compiled.json")

    def prepare(self) -> None:
        """Nothing: torch is too large (about 250 MB) to be held for a model that may never come."""

    def load(self, folder: Path, precision: str, *, threads: int) -> InductorSession:
        """See `Engine.load`."""
        variant = f"inductor-{precision}"
        library, description = (require_file(folder / name, variant) for name in self.files(precision))
        torch = import_torch("inductor")
        try:
            compiled = msgspec.json.decode(description.read_bytes(), type=Compiled)
        except msgspec.MsgspecError as error:
            raise load_failed(variant, "compiled.json is damaged", details=str(error)) from error
        if reason := compiled.problem(str(torch.__version__)):
            raise EngineFailed("compiled_for_another", variant=variant, reason=reason)
        if digest_of(library) != compiled.sha256:
            raise load_failed(variant, "model.so is damaged")
        torch.set_num_threads(threads)
        try:
            loaded = InductorLibrary(library)
        except (OSError, AttributeError, RuntimeError) as error:
            raise load_failed(variant, "model.so cannot be loaded", details=str(error)) from error
        return InductorSession(loaded, variant, output=Head.load(folder).output, compiled=compiled)


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
