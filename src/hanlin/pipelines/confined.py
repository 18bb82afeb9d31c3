"""The first act of a child that opens a foreign file: it locks itself in as a worker does, and only then loads the library that reads.

    python -m hanlin.pipelines.confined CELL MODULE …

CELL is the JSON of `confinement.Cell`; MODULE is run as the main one with the rest of the command line. Imports no library that starts
threads: those that are older than the confinement are not confined.
"""

from __future__ import annotations

import os
import runpy
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hanlin.serving.confinement import Cell, confine, in_force

if TYPE_CHECKING:
    from hanlin.control.platform import Platform
    from hanlin.models.child import Guard


def guard_of(platform: Platform) -> Guard:
    """How such a child is started for this home: it reads the one folder and nothing else of the home, as strictly as workers are kept."""
    home, policy = str(platform.settings.home.resolve()), platform.settings.worker_confinement

    def guard(folder: Path, memory_bytes: int) -> Sequence[str]:
        cell = Cell(policy=policy, folder=str(folder.resolve()), closed=home, data_bytes=memory_bytes)
        return ("-m", "hanlin.pipelines.confined", msgspec.json.encode(cell).decode())

    return guard


def main() -> int:
    """Confine this process, then be the module. Raises EngineFailed (`confinement_incomplete`)."""
    _, cell, module, *rest = sys.argv
    told = msgspec.json.decode(cell, type=Cell)
    confine(told)
    if in_force() and told.folder is not None:  # libraries look for a folder to write to when they are imported; there is none
        tempfile.tempdir = os.environ["TORCHINDUCTOR_CACHE_DIR"] = told.folder
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
