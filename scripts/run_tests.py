"""All tests but the long campaigns, in parts, three of them side by side: what waits for servers leaves the cores to others.

usage: python scripts/run_tests.py

The longest parts begin first, the next as one ends, so that no core is idle before the last one; two of those that wait for servers begin,
and one that computes beside them. With a fourth, two cores are so busy that what waits for a second comes late. Other projects' clients are
installed beside the first (scripts/clients.py). What a part prints is seen when it has ended. Ends with 0 when all did. Parts without
servers step back where cores are short, as the servers' jobs do: those would wait for their end otherwise, and their tests last longest.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

JOBS_NICE = 10  # as the runner starts jobs
AT_ONCE = 3
ROOT = Path(__file__).parents[1]
ORDER = ("app", "roads", "training", "writers", "gateway", "compilers", "others", "serving", "strain", "networks", "cli", "data")
CLIENTS = {"gateway", "strain", "writers"}  # parts whose tests run clients of other projects
SERVERS = {"gateway", "app", "roads", "writers", "strain", "cli"}
FOLDERS = {
    "gateway": ("gateway",),
    "app": ("app",),
    "training": ("training", "pipelines"),
    "compilers": ("engines", "compression"),
    "serving": ("serving", "storage"),
    "networks": ("networks", "models"),
    "cli": ("cli",),
    "data": ("datasets", "tasks"),
}
# Files of a folder that are a part of their own; what it has besides is another's.
FILES = {
    "roads": ("app", ("every_task", "queries", "questions", "retrieval", "tagging", "tasks")),  # share one server, as the next do
    "writers": ("app", ("adapters", "fine_tuning", "generation", "pretraining")),
    "strain": ("gateway", ("callers", "faults", "fuzz", "same_answers", "soak", "streams")),  # share none
}


class Parts:
    """The parts that run, each a process of its own with a cache of its own. Calls come from several threads."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._is_over = False

    def run(self, name: str, *command: str, nice: int, after: Future[int] | None = None) -> int:
        """Its exit status, once what it said has been printed; that of `after`, which it waits for, where that failed."""
        if after is not None and (status := after.result()):
            return status
        with tempfile.TemporaryFile() as log:
            with self._lock:
                if self._is_over:
                    return 1
                part = subprocess.Popen(["nice", "-n", str(nice), sys.executable, *command], cwd=ROOT, stdout=log, stderr=log)
                self._running.add(part)
            status = part.wait()
            with self._lock:
                self._running.remove(part)
                log.seek(0)
                print(f"== {name}: {status}", flush=True)
                shutil.copyfileobj(log, sys.stdout.buffer)
                sys.stdout.flush()
        return abs(status)

    def end(self) -> None:
        """Ends those that run, and their servers, in order; no other begins."""
        with self._lock:
            self._is_over = True
            for part in self._running:
                part.send_signal(signal.SIGINT)


def paths(name: str) -> list[str]:
    """Folders or files of a part; none of `others`, which are what no part names."""
    if name in FILES:
        folder, kinds = FILES[name]
        return [f"tests/{folder}/test_{folder}_{kind}.py" for kind in kinds]
    return [f"tests/{folder}" for folder in FOLDERS.get(name, ())]


def command_of(name: str) -> list[str]:
    """What Python is told of a part: pytest, its paths, and those below them that are another's."""
    others = () if name in FILES else (path for other in (FILES if name in FOLDERS else FOLDERS) for path in paths(other))
    asked = [*paths(name), *(f"--ignore={path}" for path in others)]
    return ["-m", "pytest", "-o", f"cache_dir=.pytest_cache/{name}", "--durations=20", "--durations-min=5", *asked]


def main() -> int:
    """Runs all. Ctrl-C ends them."""
    parts = Parts()
    with ThreadPoolExecutor(1) as beside, ThreadPoolExecutor(AT_ONCE) as pool:
        clients = beside.submit(parts.run, "clients", "scripts/clients.py", nice=JOBS_NICE)
        running = [clients]
        for name in ORDER:
            nice, after = 0 if name in SERVERS else JOBS_NICE, clients if name in CLIENTS else None
            running.append(pool.submit(parts.run, name, *command_of(name), nice=nice, after=after))
        try:
            statuses = [one.result() for one in running]
        except KeyboardInterrupt:
            parts.end()
            statuses = [1, *(one.result() for one in running)]
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
