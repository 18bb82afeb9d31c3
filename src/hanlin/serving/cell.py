"""The first act of a worker process: it locks itself in, and only then loads what it runs.

    python -m hanlin.serving.cell CELL --parent PID …

CELL is the JSON of `confinement.Cell`; the rest is the worker's own command line. Imports no numpy and no engine: libraries start
threads when they are imported, and threads that are older than the confinement are not confined.
"""

from __future__ import annotations

import os
import sys
import tempfile

import msgspec

from hanlin.errors import EngineFailed
from hanlin.observe.memory import while_loading
from hanlin.serving.confinement import Cell, confine, in_force
from hanlin.serving.parent import step_behind


def main(argv: list[str] | None = None) -> int:
    """Confine this process, then be the worker. Exit status as the worker's; 1 when the confinement is not what was required."""
    first, *rest = sys.argv[1:] if argv is None else argv
    cell = msgspec.json.decode(first, type=Cell)
    step_behind()
    try:
        confine(cell)
    except EngineFailed as error:
        from hanlin.serving.orders import Failed, Failure, dump

        sys.stdout.buffer.write(dump(Failed("", error=Failure.of(error, ""))))
        return 1
    if in_force() and cell.folder is not None:  # libraries look for a folder to write to when they are imported; there is none
        tempfile.tempdir = os.environ["TORCHINDUCTOR_CACHE_DIR"] = cell.folder
    with while_loading():
        from hanlin.serving.worker import main as work

    return work(rest)


if __name__ == "__main__":
    sys.exit(main())
