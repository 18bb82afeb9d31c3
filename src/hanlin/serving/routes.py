"""`routes.json`: which endpoints there are and which workers answer for them, written by the reconciler, read by gateways.

The file is replaced atomically, so a reader sees one whole state. An endpoint without replicas is known but not ready: calls to
it wait. It lives in the run folder (0700) because it holds the workers' tokens.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from hanlin.serving.wire import ReplicaInfo

ROUTES_FILE = "routes.json"


class ReplicaRoute(msgspec.Struct, frozen=True):
    """Where a ready worker listens."""

    socket: str
    token: str


class EndpointRoute(msgspec.Struct, frozen=True):
    """One endpoint: what it serves now, and its ready replicas."""

    model: str
    version: str
    variant: str
    state: str
    replicas: tuple[ReplicaRoute, ...] = ()
    info: ReplicaInfo | None = None


class Routes(msgspec.Struct, frozen=True):
    """All endpoints by `team/endpoint`."""

    endpoints: dict[str, EndpointRoute]
    format: int = 1


def route_key(team_id: str, endpoint: str) -> str:
    """Name of an endpoint in `Routes`."""
    return f"{team_id}/{endpoint}"


def save_routes(folder: Path, routes: Routes) -> None:
    """Publish `routes` in `folder`. No fsync: the file means nothing after a crash of the machine."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = folder / f".{ROUTES_FILE}.{os.getpid()}"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(routes))
    aside.replace(folder / ROUTES_FILE)


def load_routes(folder: Path) -> Routes | None:
    """The published routes; None when there are none yet or the file is damaged (the reconciler will write it anew)."""
    try:
        return msgspec.json.decode((folder / ROUTES_FILE).read_bytes(), type=Routes)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


class RoutesWatcher:
    """Tells when the file was replaced, by its identity; one `stat` a look (about 2 µs)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[int, int] | None = None

    def changed(self) -> Routes | None:
        """New routes since the last look, or None."""
        try:
            status = (self._folder / ROUTES_FILE).stat()
        except FileNotFoundError:
            return None
        mark = (status.st_ino, status.st_mtime_ns)
        if mark == self._seen:
            return None
        routes = load_routes(self._folder)
        if routes is not None:
            self._seen = mark
        return routes
