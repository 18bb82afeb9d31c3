"""`routes.json`: which endpoints there are and which workers answer for them, written by the reconciler, read by gateways.

The file is replaced atomically, so a reader sees one whole state. An endpoint without replicas is known but not ready: calls to
it wait. It lives in the run folder (0700) because it holds the workers' tokens.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
from pathlib import Path
from typing import Literal

import msgspec

from hanlin.serving.published import publish
from hanlin.serving.wire import ReplicaInfo
from hanlin.types import LongText

ROUTES_FILE = "routes.json"
TrialRole = Literal["canary", "shadow"]
_LOOK_S = 0.05  # how often a folder that cannot be watched is looked at
_LOOK_ANYWAY_S = 2.0  # how often one that is watched is looked at all the same
_IN_MOVED_TO, _IN_NONBLOCK, _IN_CLOEXEC = 0x80, 0o4000, 0o2000000  # Source: inotify(7)


class ReplicaRoute(msgspec.Struct, frozen=True):
    """Where a ready worker listens."""

    socket: str
    token: str


class EndpointRoute(msgspec.Struct, frozen=True):
    """One endpoint: what it serves now, its ready replicas, how it answers, and what is tried beside it.

    Args:
        state: as the deployment's; `asleep` wants to be told of calls (`demand.py`).
        load_s: how long loading took last; 0: unknown.
        lacks_room: it sleeps on, for others keep the memory.
        can_sleep: its deployment lets it leave memory.
        quarantine: endpoints of the same one may share a worker process: their suspects are tried one at a time. Empty: its own.
    """

    model: str
    version: str
    variant: str
    state: str
    replicas: tuple[ReplicaRoute, ...] = ()
    info: ReplicaInfo | None = None
    deployment_id: str = ""
    long_text: LongText = "refuse"
    cache_ttl_s: int = 0
    quarantine: str = ""
    load_s: float = 0.0
    lacks_room: bool = False
    can_sleep: bool = False
    trials: tuple[TrialRoute, ...] = ()


class TrialRoute(msgspec.Struct, frozen=True):
    """Another version beside the one that serves: a canary answers `weight` percent of the calls, a shadow gets copies of as many."""

    role: TrialRole
    weight: int
    route: EndpointRoute


class Routes(msgspec.Struct, frozen=True):
    """All endpoints by `team/endpoint`."""

    endpoints: dict[str, EndpointRoute]
    format: int = 1


def route_key(team_id: str, endpoint: str) -> str:
    """Name of an endpoint in `Routes`."""
    return f"{team_id}/{endpoint}"


def save_routes(folder: Path, routes: Routes) -> None:
    """Publish `routes` in `folder`. Raises OSError."""
    publish(folder / ROUTES_FILE, routes)


def load_routes(folder: Path) -> Routes | None:
    """The published routes; None when there are none yet or the file is damaged (the reconciler will write it anew)."""
    try:
        return msgspec.json.decode((folder / ROUTES_FILE).read_bytes(), type=Routes)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


class RoutesWatcher:
    """Tells when the file was replaced, by its identity; one `stat` a look. Belongs to one event loop; `close` it.

    On Linux the kernel wakes `wait` (inotify), so following costs nothing while nothing changes; elsewhere it looks often.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[int, int] | None = None
        self._notices: int | None = None
        self._woken = asyncio.Event()

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

    async def wait(self) -> None:
        """Until it is time for another look."""
        is_watched = self._notices is not None or self._watch()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_ANYWAY_S if is_watched else _LOOK_S):
                await self._woken.wait()
        self._woken.clear()

    def close(self) -> None:
        """Gives the kernel its watch back."""
        if self._notices is not None:
            asyncio.get_running_loop().remove_reader(self._notices)
            os.close(self._notices)
            self._notices = None

    def _watch(self) -> bool:
        """Begins to watch; the look that follows at once sees what changed before. False where it cannot be done (yet)."""
        self._notices = _open_notices(self._folder)
        if self._notices is None:
            return False
        asyncio.get_running_loop().add_reader(self._notices, self._wake)
        self._woken.set()
        return True

    def _wake(self) -> None:
        if self._notices is not None:
            with contextlib.suppress(BlockingIOError):
                os.read(self._notices, 65_536)  # which file it was does not matter
        self._woken.set()


def _open_notices(folder: Path) -> int | None:
    """A descriptor that can be read whenever a file of `folder` is replaced; None where there is no inotify or no folder."""
    if sys.platform != "linux":
        return None
    kernel = ctypes.CDLL(None, use_errno=True)
    handle: int = kernel.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
    if handle < 0:
        return None
    if kernel.inotify_add_watch(handle, os.fsencode(folder), _IN_MOVED_TO) < 0:
        os.close(handle)
        return None
    return handle
