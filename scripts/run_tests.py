"""All tests but the long campaigns, in three parts side by side: two of whole servers, which wait much, and everything else.

usage: python scripts/run_tests.py

What the rooms' part prints is seen at once, what the others print when all have ended. Ends with 0 when all did. The rooms' part steps
back where cores are short, as the servers' jobs do: those would wait for its end otherwise, and their tests last longest.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

JOBS_NICE = 10  # as the runner starts jobs
ROOT = Path(__file__).parents[1]
SERVERS = {"platform": ("tests/app", "tests/cli"), "gateway": ("tests/gateway",)}


def start(name: str, *arguments: str, output: IO[bytes] | None = None, nice: int = 0) -> subprocess.Popen[bytes]:
    """One part, with a cache of its own."""
    slowest = ("--durations=20", "--durations-min=5")
    command = ["nice", "-n", str(nice), sys.executable, "-m", "pytest", "-o", f"cache_dir=.pytest_cache/{name}", *slowest, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=None if output is None else subprocess.STDOUT)


def main() -> int:
    """Runs all. Ctrl-C ends them, and their servers, in order."""
    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context(tempfile.TemporaryFile()) for _ in SERVERS]
        parts = [start(name, *folders, output=log) for (name, folders), log in zip(SERVERS.items(), logs, strict=True)]
        parts.append(start("rooms", *(f"--ignore={folder}" for folders in SERVERS.values() for folder in folders), nice=JOBS_NICE))
        try:
            statuses = [part.wait() for part in reversed(parts)]
        except KeyboardInterrupt:
            for part in parts:
                part.send_signal(signal.SIGINT)
            statuses = [part.wait() for part in parts]
        for log in logs:
            log.seek(0)
            shutil.copyfileobj(log, sys.stdout.buffer)
            sys.stdout.flush()
    return max(map(abs, statuses))


if __name__ == "__main__":
    sys.exit(main())
