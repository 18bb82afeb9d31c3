"""All tests but the long campaigns, in parts, three of them side by side: what waits for servers leaves the cores to others.

usage: python scripts/run_tests.py

The longest parts begin first, the next as one ends, so that no core is idle before the last one. What a part prints is seen when it has
ended. Ends with 0 when all did. Parts without servers step back where cores are short, as the servers' jobs do: those would wait for
their end otherwise, and their tests last longest.
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
SERVERS = {"app": ("app",), "gateway": ("gateway",), "cli": ("cli",)}
# Files of `app` that share one server, and run beside those that kill theirs.
ROADS = ("adapters", "every_task", "generation", "pretraining", "queries", "questions", "retrieval", "tagging", "tasks")
ROOMS = {
    "compilers": ("engines", "compression"),
    "training": ("training", "pipelines"),
    "networks": ("networks", "models"),
    "serving": ("serving", "storage"),
    "data": ("datasets", "tasks"),
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


def listed() -> list[tuple[str, list[str], int]]:
    """Name, arguments and niceness of each part, in the order in which they begin. What no part names is the last one's."""
    named = SERVERS | ROOMS
    parts = [(name, [f"tests/{folder}" for folder in folders], 0 if name in SERVERS else JOBS_NICE) for name, folders in named.items()]
    roads = [f"tests/app/test_app_{name}.py" for name in ROADS]
    parts[0][1].extend(f"--ignore={path}" for path in roads)
    return [
        ("roads", roads, 0),
        *parts,
        ("others", [f"--ignore=tests/{folder}" for folders in named.values() for folder in folders], JOBS_NICE),
    ]


def main() -> int:
    """Runs all. Ctrl-C ends them."""
    parts = Parts()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(parts.run, name, *arguments, nice=nice) for name, arguments, nice in listed()]
        try:
            statuses = [one.result() for one in running]
        except KeyboardInterrupt:
            parts.end()
            statuses = [1, *(one.result() for one in running)]
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
