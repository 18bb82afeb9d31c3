"""Where a replica listens: a socket and its file, which its parent makes and keeps.

The worker gets the open socket and needs no right to make one. A worker that dies leaves the place as it is: who connects waits in line
for its heir, also when a full disk lets nobody write where that is.
"""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

from hanlin.serving.routes import ReplicaRoute
from hanlin.storage.failures import disk_errors

_BACKLOG = 1024


class Place:
    """A listening unix socket (0600) below `run_dir`, and the token that callers must show there. `close` it."""

    def __init__(self, run_dir: Path) -> None:
        """Raises NotReady (`storage_full`)."""
        path = run_dir / f"w{secrets.token_hex(6)}.sock"
        self.route = ReplicaRoute(str(path), secrets.token_urlsafe(24))
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with disk_errors():
                run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
                _bind(self.listener, path)
        except BaseException:
            self.listener.close()
            raise
        self.listener.listen(_BACKLOG)

    def close(self) -> None:
        """Nobody answers here any more."""
        self.listener.close()
        Path(self.route.socket).unlink(missing_ok=True)


def _bind(listener: socket.socket, path: Path) -> None:
    old_mask = os.umask(0o177)  # the file is born 0600
    try:
        listener.bind(str(path))
    finally:
        os.umask(old_mask)
