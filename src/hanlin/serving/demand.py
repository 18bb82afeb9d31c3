"""How a gateway tells the reconciler that somebody calls an endpoint that sleeps: a datagram to a private socket in the run folder.

Nothing is answered and one may get lost: a call that still waits says it again. The datagram holds the endpoint's route key.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

SOCKET = "demand.sock"
_MAX_BYTES = 1024


class DemandSender:
    """Call it with a route key. Never blocks, never fails: see the module."""

    def __init__(self, run_dir: Path) -> None:
        self._path = str(run_dir / SOCKET)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def __call__(self, key: str) -> None:
        """Tell it."""
        with contextlib.suppress(OSError):  # nobody listens at present, or too many speak
            self._socket.sendto(key.encode(), self._path)

    def close(self) -> None:
        """Tell nothing more."""
        self._socket.close()


class DemandListener:
    """The reconciler's end (0600). Belongs to one event loop; `close` it.

    Args:
        wake: called on the loop with each route key, as often as it is told.
    """

    def __init__(self, run_dir: Path, wake: Callable[[str], None]) -> None:
        """Raises OSError, such as on a full disk."""
        self._path = run_dir / SOCKET
        self._wake = wake
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._path.unlink(missing_ok=True)
        old_mask = os.umask(0o177)  # the socket is born 0600
        try:
            self._socket.bind(str(self._path))
        except OSError:
            self._socket.close()
            raise
        finally:
            os.umask(old_mask)
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        """Hear nothing more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while packet := self._socket.recv(_MAX_BYTES):
                self._wake(packet.decode(errors="replace"))
