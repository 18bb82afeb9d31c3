"""All tests but the long campaigns, in two halves side by side: whole servers, which wait much, and everything else.

usage: python scripts/run_tests.py

What the rooms' half prints is seen at once, what the servers' half prints when it has ended. Ends with 0 when both did.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
SERVERS = ("tests/app", "tests/cli", "tests/gateway")


def start(name: str, *arguments: str, output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """One half, with a cache of its own."""
    command = [sys.executable, "-m", "pytest", "-o", f"cache_dir=.pytest_cache/{name}", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=None if output is None else subprocess.STDOUT)


def main() -> int:
    """Runs both. Ctrl-C ends both, and their servers, in order."""
    with tempfile.TemporaryFile() as log:
        halves = [start("servers", *SERVERS, output=log), start("rooms", *(f"--ignore={folder}" for folder in SERVERS))]
        try:
            statuses = [half.wait() for half in reversed(halves)]
        except KeyboardInterrupt:
            for half in halves:
                half.send_signal(signal.SIGINT)
            statuses = [half.wait() for half in halves]
        log.seek(0)
        shutil.copyfileobj(log, sys.stdout.buffer)
        sys.stdout.flush()
    return max(map(abs, statuses))


if __name__ == "__main__":
    sys.exit(main())
