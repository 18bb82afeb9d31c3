"""The demo's server: `hanlin up` in a process of its own, or the one that this home runs already."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from hanlin.errors import NotReady

_STOP_LIMIT_S = 30.0


class DemoServer:
    """A server of `home` that is up and ready.

    Attributes:
        url: where it answers.
        is_ours: whether we started it (and end it in `stop`).
    """

    def __init__(self, home: Path, *, port: int) -> None:
        self.home = home
        self.url = running_url(home) or ""
        self.is_ours = not self.url
        self._process: subprocess.Popen[bytes] | None = None
        if self.is_ours:
            self._start(port)

    @property
    def key_file(self) -> Path:
        """Where the owner key of this home is stored."""
        return self.home / "owner.key"

    def _start(self, port: int, timeout_s: float = 60.0) -> None:
        port = port if is_free(port) else free_port()
        self.home.mkdir(parents=True, exist_ok=True)
        self._log = self.home / "demo-server.log"
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "hanlin", "up", "--home", str(self.home), "--port", str(port)]
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
            )
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if found := running_url(self.home):
                self.url = found
                return
            time.sleep(0.1)
        self.stop()
        raise NotReady("demo_server_failed", log=self._log.name, details=self._log.read_text(errors="replace")[-2000:])

    def wait(self) -> None:
        """Blocks until the server ends or Ctrl-C."""
        if self._process is not None:
            with contextlib.suppress(KeyboardInterrupt):
                self._process.wait()

    def stop(self) -> None:
        """Ends the server if we started it, politely first."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def running_url(home: Path) -> str | None:
    """The address at which this home's server answers now, or None."""
    with contextlib.suppress(OSError, ValueError, KeyError, httpx.HTTPError):
        url = str(json.loads((home / "run" / "server.json").read_text())["url"])
        if httpx.get(f"{url}/readyz", timeout=2.0).status_code == httpx.codes.OK:
            return url
    return None


def is_free(port: int) -> bool:
    """Whether nobody listens on this loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
