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
                bind_privately(self.listener, path)
        except BaseException:
            self.listener.close()
            raise
        self.listener.listen(_BACKLOG)

    def close(self) -> None:
        """Nobody answers here any more."""
        self.listener.close()
        Path(self.route.socket).unlink(missing_ok=True)


def bind_privately(listener: socket.socket, path: Path) -> None:
    """Bind a unix socket at `path`, 0600 from its birth. The umask is left alone: other threads make folders meanwhile."""
    os.fchmod(listener.fileno(), 0o600)  # Linux makes the file with the socket's own mode
    listener.bind(str(path))
    path.chmod(0o600)  # elsewhere
