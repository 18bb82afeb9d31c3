"""Engines whose libraries want other releases than ours: they live in a Python environment of their own, or nowhere."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Mapping
from pathlib import Path

from hanlin import __version__
from hanlin.engines.base import ENGINES, split_variant
from hanlin.errors import EngineFailed, InvalidInput

LOAD_S = 900.0  # least time to load there: kernels are compiled the first time
SHARE_VARIABLE = "HANLIN_VLLM_MEMORY_SHARE"  # by which a process is told how much of a graphics processor's memory its model may take
_ASK = "import hanlin; print(hanlin.__version__)"
_PATIENCE_S = 60.0  # for the answer; a cold disk has taken seconds


def check_apart(variant: str, pythons: Mapping[str, Path]) -> None:
    """Raises InvalidInput (`engine_apart`) for a variant whose engine lives in an environment of its own, and nobody has said where."""
    name, _ = split_variant(variant)
    library = ENGINES.get(name).capabilities.apart
    if library and name not in pythons and importlib.util.find_spec(library) is None:
        raise lives_apart(name, library)


def check_version(engine: str, python: Path, environ: Mapping[str, str]) -> None:
    """Ask the other environment which Hanlin it holds. Takes a tenth of a second or more.

    Args:
        environ: as the process that will run there has it.

    Raises:
        EngineFailed: `engine_apart_version` where it is not this one, or none.
    """
    try:
        done = subprocess.run(
            [str(python), "-c", _ASK], env=dict(environ), capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )  # fmt: skip
        found, details = done.stdout.strip()[-40:], done.stderr[-500:]
    except (OSError, subprocess.TimeoutExpired) as error:
        found, details = "", str(error)
    if found != __version__:
        extra = ENGINES.get(engine).capabilities.apart or engine
        raise EngineFailed("engine_apart_version", engine=engine, extra=extra, found=found or "?", version=__version__, details=details)


def lives_apart(engine: str, library: str) -> InvalidInput:
    """The error of an engine whose library is in another environment, or in none."""
    return InvalidInput("engine_apart", engine=engine, extra=library, setting=f"HANLIN_{engine.upper()}_PYTHON")
