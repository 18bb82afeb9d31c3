"""The `torch` engine: the trained weights themselves, eager: fp32, bf16, or linear layers in int8 made of them as they are loaded.
`torch-fp32` is the reference of every version that has them.

Networks that write have sessions of their own (`torch_writer`), which alone load what constraints are made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hanlin.engines.base import (
    ENGINES,
    REFERENCE,
    TRAINED_FILES,
    Capabilities,
    Floats,
    Ids,
    check_tokens,
    load_failed,
    reference_of,
    step_failed,
)
from hanlin.engines.torch_library import import_torch
from hanlin.engines.torch_shared import TorchShared
from hanlin.errors import EngineFailed, HanlinError
from hanlin.networks.head import TOKENS, Head

if TYPE_CHECKING:
    from torch import nn

    from hanlin.engines.torch_shared_writer import TorchSharedWriter
    from hanlin.engines.torch_writer import TorchWriter
    from hanlin.networks.loading import Dtype


class TorchSession:
    """A module in eval mode; every step runs under inference mode."""

    num_streams = 1
    step_tokens: int | None = None

    def __init__(self, module: nn.Module, variant: str, *, output: str = "logits") -> None:
        self._module: nn.Module | None = module
        self._variant = variant
        self._output = output
        self.has_tokens = getattr(module, "has_tokens", False)

    def run(
        self, input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """See `Session.run`."""
        import torch

        assert self._module is not None, "closed session"
        if with_tokens:
            check_tokens(self._variant, has_tokens=self.has_tokens)
        try:
            with torch.inference_mode():
                arrays = (input_ids, attention_mask) if token_type_ids is None else (input_ids, attention_mask, token_type_ids)
                tensors = map(torch.from_numpy, arrays)
                found = self._module.both(*tensors) if with_tokens else (self._module(*tensors),)  # type: ignore[operator]  # an embedder
                names = (self._output, TOKENS)
                return {name: np.asarray(values.float().numpy(), dtype=np.float32) for name, values in zip(names, found, strict=False)}
        except (RuntimeError, IndexError, ValueError) as error:
            raise step_failed(self._variant, error) from error

    def close(self) -> None:
        """Drop the module."""
        self._module = None


@ENGINES.register("torch")
class TorchEngine:
    """Eager PyTorch on the CPU. Sets the process-wide thread count."""

    name = "torch"
    capabilities = Capabilities(precisions=("fp32", "bf16", "int8"), writer_precisions=("int8",), writes=True)

    def is_batch_invariant(self, precision: str) -> bool:
        """fp32 up to 1e-4; bf16 up to rounding, as every kernel choice is; int8 scales each row by itself."""
        return True

    def files(self, precision: str) -> tuple[str, ...]:
        """None: it runs the trained weights."""
        return ()

    def prepare(self) -> None:
        """Nothing: torch is too large (about 250 MB) to be held for a model that may never come."""

    def load(self, folder: Path, precision: str, *, threads: int) -> TorchSession | TorchWriter:
        """See `Engine.load`."""
        variant = f"torch-{precision}"
        if not any((folder / name).is_file() for name in TRAINED_FILES) and (reference := reference_of(folder)) != REFERENCE:
            raise EngineFailed("no_torch_weights", variant=variant, reference=reference)
        torch = import_torch("torch")
        from hanlin.networks.int8 import to_int8
        from hanlin.networks.loading import load_model

        torch.set_num_threads(threads)
        try:
            output = Head.load(folder).output
            module = load_model(folder, dtype="bf16" if precision == "bf16" else "fp32", attention="sdpa")
            module = to_int8(module) if precision == "int8" else module
        except HanlinError:
            raise
        except Exception as error:  # torch, safetensors and transformers raise whatever they like
            raise load_failed(variant, "its weights or configuration cannot be read", details=f"{type(error).__name__}: {error}") from error
        return torch_session(module, variant, output=output, folder=folder)

    def load_shared(self, folder: Path, precision: str, *, threads: int) -> TorchShared | TorchSharedWriter:
        """See `SharingEngine.load_shared`."""
        variant = f"torch-{precision}"
        torch = import_torch("torch")
        from hanlin.networks.mixed import MixedModel
        from hanlin.networks.mixed_writer import MixedWriter

        torch.set_num_threads(threads)
        dtype: Dtype = "bf16" if precision == "bf16" else "fp32"
        try:
            if Head.load(folder).output == "sequences":
                from hanlin.engines.torch_shared_writer import TorchSharedWriter

                return TorchSharedWriter(MixedWriter(folder, dtype=dtype), variant, folder=folder)
            return TorchShared(MixedModel(folder, dtype=dtype), variant)
        except HanlinError:
            raise
        except Exception as error:  # as above
            raise load_failed(variant, "its base cannot be read", details=f"{type(error).__name__}: {error}") from error


def torch_session(module: nn.Module, variant: str, *, output: str, folder: Path | None = None) -> TorchSession | TorchWriter:
    """A module in memory as a session, by what it answers with; it is in eval mode afterwards.

    Args:
        folder: with the tokenizer that constraints need.
    """
    if output == "sequences":
        from hanlin.engines.torch_writer import TorchWriter
        from hanlin.networks.generation.run import step_model

        return TorchWriter(step_model(module.eval()), variant, folder=folder)
    return TorchSession(module.eval(), variant, output=output)
