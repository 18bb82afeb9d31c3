"""Files that only a large library can read are opened in a child process: what they do to the library, they do to nobody else.

A guard says how such a process is started; the plain one bounds memory and time only, that of `pipelines` locks it in besides. A child
writes a result of bytes to stdout, and one line of JSON to stderr as its last: facts, or the code and parameters of its complaint.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import cast

from hanlin.errors import HanlinError, InvalidInput
from hanlin.types import JsonObject

Guard = Callable[[Path, int], Sequence[str]]  # (the one folder it may read, bytes of memory) → Python's arguments before the module's name

TIMEOUT_S = 240.0
MAX_RESULT_BYTES = 2**31 - 1
_BASE_BYTES, _COPIES = 4 * 2**30, 8  # of the libraries themselves, and of the file while it is read, rewritten and run
_KEPT = ("PATH", "PYTHONPATH", "LANG", "LD_LIBRARY_PATH")
_STILL = {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "ORT_DISABLE_TELEMETRY": "1"}


def plain_guard(folder: Path, memory_bytes: int) -> Sequence[str]:
    """Bounds of memory and nothing else."""
    return ("-m", "hanlin.models.child", str(memory_bytes))


def run_child(module: str, arguments: JsonObject, *, file: Path, out: Path, guard: Guard, more_seconds: float = 0.0) -> JsonObject:
    """Run `module` on `file` and write its result to `out`; what it found.

    Args:
        more_seconds: that it may take, beside `TIMEOUT_S`.

    Raises:
        InvalidInput: its own complaint, or `foreign_file_broke` when it ended otherwise or took too long.
    """
    memory = _BASE_BYTES + _COPIES * file.stat().st_size
    words = [sys.executable, *guard(file.parent, memory), module, str(file), json.dumps(arguments)]
    seconds = TIMEOUT_S + more_seconds
    environment = {name: value for name, value in os.environ.items() if name in _KEPT} | _STILL
    try:
        with out.open("wb") as result:
            done = subprocess.run(
                words, stdout=result, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=seconds, env=environment, check=False
            )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise InvalidInput("foreign_file_broke", file=file.name, problem=f"> {seconds:g} s") from error
    told = done.stderr.decode("utf-8", "replace")
    try:
        found = json.loads(told.rstrip("\n").rpartition("\n")[2])
    except ValueError:
        found = None
    if isinstance(found, dict) and isinstance(found.get("code"), str):
        raise InvalidInput.of(found["code"], found["params"])
    if done.returncode != 0 or not isinstance(found, dict):
        problem = f"signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
        raise InvalidInput("foreign_file_broke", file=file.name, problem=problem, details=told[-2000:])
    return cast("JsonObject", found)


def answer(work: Callable[[Path, JsonObject], tuple[bytes | Iterable[bytes], JsonObject]]) -> int:
    """The main of a child: `work` on the file and the arguments of the command line. A result in pieces is written as they come."""
    _, file, arguments = sys.argv
    path = Path(file)
    try:
        result, facts = work(path, json.loads(arguments))
        for piece in (result,) if isinstance(result, bytes) else result:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except HanlinError as error:
        print(error.details[:1000].replace("\n", " "), file=sys.stderr)
        print(json.dumps({"code": error.code, "params": dict(error.params)}), file=sys.stderr)
        return 3
    except MemoryError:
        print(json.dumps({"code": "foreign_file_broke", "params": {"file": path.name, "problem": "out of memory"}}), file=sys.stderr)
        return 3
    print("\n" + json.dumps(facts), file=sys.stderr)
    return 0


def _main() -> int:
    import runpy

    try:
        import resource

        limit = int(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass  # no such limits on this system; the time limit of the parent holds
    module = sys.argv[2]
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
