"""The trained model of an artifact as a session: torch's own weights, or the graph that came instead of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hanlin.engines.base import REFERENCE, Session, load_variant, max_batch_rows, reference_of
from hanlin.networks.head import Head
from hanlin.tasks.spec import ModelSpec

if TYPE_CHECKING:
    from hanlin.networks.loading import Dtype


def trained_session(folder: Path, *, threads: int, dtype: Dtype = "fp32") -> tuple[Session, int | None]:
    """The session, and the most rows of a step (None: no limit). Sets torch's thread count when it has weights and `threads` is not 0.

    Args:
        dtype: of torch's weights.
    """
    import torch

    from hanlin.engines.torch_engine import torch_session
    from hanlin.networks.loading import load_model

    reference = reference_of(folder)
    if reference != REFERENCE:
        session = load_variant(folder, reference, threads=threads or torch.get_num_threads())
        return session, max_batch_rows(reference, is_alone=ModelSpec.load(folder).is_alone)
    if threads:
        torch.set_num_threads(threads)
    return torch_session(load_model(folder, dtype=dtype), REFERENCE, output=Head.load(folder).output, folder=folder), None
