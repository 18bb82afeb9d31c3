"""All tests but the long campaigns, in parts, three of them side by side: what waits for servers leaves the cores to others.

usage: python scripts/run_tests.py

The longest parts begin first, the next as one ends, so that no core is idle before the last one; two of those that wait for servers begin,
and one that computes beside them. With a fourth, two cores are so busy that what waits for a second comes late. What a part prints is seen
when it has ended. Ends with 0 when all did. Parts without servers step back where cores are short, as the servers' jobs do: those would
wait for their end otherwise, and their tests last longest.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

JOBS_NICE = 10  # as the runner starts jobs
AT_ONCE = 3
ROOT = Path(__file__).parents[1]
ORDER = ("gateway", "app", "training", "roads", "compilers", "writers", "strain", "serving", "others", "networks", "cli", "data")
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

    def run(self, name: str, *arguments: str, nice: int) -> int:
        """Its exit status, once what it said has been printed."""
        command = ["nice", "-n", str(nice), sys.executable, "-m", "pytest", "-o", f"cache_dir=.pytest_cache/{name}"]
        with tempfile.TemporaryFile() as log:
            with self._lock:
                if self._is_over:
                    return 1
                part = subprocess.Popen([*command, "--durations=20", "--durations-min=5", *arguments], cwd=ROOT, stdout=log, stderr=log)
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


def arguments(name: str) -> list[str]:
    """What pytest is told of a part: its paths, and those below them that are another's."""
    if name in FILES:
        return paths(name)
    return [*paths(name), *(f"--ignore={path}" for other in (FILES if name in FOLDERS else FOLDERS) for path in paths(other))]


def main() -> int:
    """Runs all. Ctrl-C ends them."""
    parts = Parts()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(parts.run, name, *arguments(name), nice=0 if name in SERVERS else JOBS_NICE) for name in ORDER]
        try:
            statuses = [one.result() for one in running]
        except KeyboardInterrupt:
            parts.end()
            statuses = [1, *(one.result() for one in running)]
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
