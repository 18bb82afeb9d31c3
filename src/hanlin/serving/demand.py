"""What a gateway tells the reconciler: datagrams to a private socket in the run folder.

That somebody calls an endpoint that sleeps (its route key), that one may sleep now (`~` and the key), or that a worker broke the
protocol (`!` and its socket). Nothing is answered and one may get lost: a call that still waits says it again, and who breaks the
protocol does so again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from hanlin.serving.place import bind_privately

SOCKET = "demand.sock"
_MAX_BYTES = 1024
_ACCUSED = "!"
_RESTING = "~"


class DemandSender:
    """Call it with a route key. Never blocks, never fails: see the module."""

    def __init__(self, run_dir: Path) -> None:
        self._path = str(run_dir / SOCKET)
        self._socket: socket.socket | None = None  # made when there is something to tell: most gateways never have

    def __call__(self, key: str) -> None:
        """Tell it."""
        with contextlib.suppress(OSError):  # nobody listens at present, or too many speak
            self._open().sendto(key.encode(), self._path)

    def accuse(self, path: str) -> None:
        """Tell of the worker that listens at `path`."""
        self(_ACCUSED + path)

    def rest(self, key: str) -> None:
        """An endpoint may sleep now, unless it is in use."""
        self(_RESTING + key)

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        return self._socket


class DemandListener:
    """The reconciler's end (0600). Belongs to one event loop; `close` it.

    Args:
        wake: called on the loop with each route key, as often as it is told.
        accuse: called with the socket of a worker that broke the protocol.
        rest: called with the route key of an endpoint that may sleep now.
    """

    def __init__(
        self, run_dir: Path, wake: Callable[[str], None], accuse: Callable[[str], None], rest: Callable[[str], None] = lambda _: None
    ) -> None:  # fmt: skip
        """Raises OSError, such as on a full disk."""
        self._path = run_dir / SOCKET
        self._wake = wake
        self._accuse = accuse
        self._rest = rest
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._path.unlink(missing_ok=True)
        try:
            bind_privately(self._socket, self._path)
        except OSError:
            self._socket.close()
            raise
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        """Hear nothing more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while packet := self._socket.recv(_MAX_BYTES):
                told = packet.decode(errors="replace")
                if told.startswith(_ACCUSED):
                    self._accuse(told.removeprefix(_ACCUSED))
                elif told.startswith(_RESTING):
                    self._rest(told.removeprefix(_RESTING))
                else:
                    self._wake(told)
