"""Server processes under measurement: start a command, know its whole tree, its CPU seconds and memory, drive it, end it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import psutil

BENCH = Path(__file__).parent
BUILD = BENCH.parent / "build"


class Server:
    """A started server and everything it started. Ends with `close`, or as a context manager.

    Args:
        command: argv.
        port: where it will answer.
        log: takes what it prints.
    """

    def __init__(
        self, command: Sequence[str], *, port: int, log: Path, environ: dict[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.port = port
        self._tag = f"{os.getpid()}.{time.monotonic_ns()}"  # in every child's environment: some servers leave their process group
        environ = {**os.environ, **(environ or {}), "BENCH_TAG": self._tag, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                list(command), env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=cwd
            )  # fmt: skip

    def wait_ready(self, path: str, body: bytes, headers: dict[str, str], *, timeout_s: float) -> float:
        """Seconds until the first good answer. Raises RuntimeError when it ends or takes too long."""
        began_s = time.monotonic()
        while time.monotonic() - began_s < timeout_s:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended with status {self._process.returncode}")
            request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, {"Content-Type": "application/json", **headers})
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    answer.read()
                    return time.monotonic() - began_s
            except OSError:
                time.sleep(0.2)
        raise RuntimeError("the server did not answer in time")

    def processes(self) -> list[psutil.Process]:
        """The tree: descendants, and what left it but carries the tag."""
        found: dict[int, psutil.Process] = {}
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(self._process.pid)
            found = {process.pid: process for process in (root, *root.children(recursive=True))}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("BENCH_TAG") == self._tag:
                    found[process.pid] = process
        return list(found.values())

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far, by process name and id."""
        spent = {}
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                spent[f"{' '.join(process.cmdline())[:200]}#{process.pid}"] = times.user + times.system
        return spent

    def memory_mb(self) -> float:
        """Private memory of the tree, in MB."""
        total = 0
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().uss
        return total / 2**20

    def close(self) -> None:
        """SIGTERM to the group, then SIGKILL to what is left of the tree."""
        left = self.processes()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._process.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def free_ports(count: int) -> list[int]:
    """Loopback ports that are free now, each another one."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def drive(port: int, path: str, bodies: Path, *, headers: Sequence[str] = (), **options: float) -> dict[str, object]:
    """Run `http_load.py` in a process of its own; `options` are its options. Returns what it prints."""
    flags = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, str(BENCH / "http_load.py"), f"--port={port}", f"--path={path}", f"--bodies={bodies}", *flags]
    done = subprocess.run([*command, *(f"--header={line}" for line in headers)], check=True, capture_output=True, timeout=600)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def cpu_between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """CPU seconds of each process between two readings of `Server.cpu_s`."""
    return {name: after[name] - before.get(name, 0.0) for name in after}
