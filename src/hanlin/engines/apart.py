"""Engines whose libraries want other releases than ours: they live in a Python environment of their own, or nowhere."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from hanlin.engines.base import ENGINES, split_variant
from hanlin.errors import InvalidInput


def check_apart(variant: str, pythons: Mapping[str, Path]) -> None:
    """Raises InvalidInput (`engine_apart`) for a variant whose engine lives in an environment of its own, and nobody has said where."""
    name, _ = split_variant(variant)
    library = ENGINES.get(name).capabilities.apart
    if library and name not in pythons and importlib.util.find_spec(library) is None:
        raise lives_apart(name, library)


def lives_apart(engine: str, library: str) -> InvalidInput:
    """The error of an engine whose library is in another environment, or in none."""
    return InvalidInput("engine_apart", engine=engine, extra=library, setting=f"HANLIN_{engine.upper()}_PYTHON")
