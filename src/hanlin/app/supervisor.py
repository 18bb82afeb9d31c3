"""`hanlin up`: owns the home's lock and the listening socket, starts the children, restarts what dies, drains in order.

The one socket is bound before anything else and handed to every gateway, so a gateway that is restarted loses no
connection that waits in the backlog, and another one takes it. Knows nothing of models or requests.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hanlin.app.alarm import Alarm
from hanlin.app.processes import ask_to_end, hand_over, kill, launch, stop
from hanlin.errors import Conflict, HanlinError, InvalidInput
from hanlin.gateway.acceptor import forget, holds_any, new_tally
from hanlin.gateway.reserved_port import reserve
from hanlin.settings import Settings
from hanlin.storage.durable import write_atomically

_TICK_S = 0.1  # for back-offs; a death or a signal ends the wait
_RUNNER_AFTER_S = 3.0  # by then calls are answered, also where the cores are busy
_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 5.0
_CALM_S = 2.0  # a child that lived this long starts with a fresh back-off: that is for those who cannot live
_BACKLOG = 1024


@dataclass(slots=True)
class Child:
    """One child that must run: how to start it, and how its restarts have gone.

    Args:
        tally_slot: of a gateway, the descriptor of the tally and its number there: one that died with connections could live.
    """

    role: str
    args: tuple[str, ...] = ()
    pass_fds: tuple[int, ...] = ()
    tally_slot: tuple[int, int] | None = None
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    next_start_s: float = 0.0
    delay_s: float = 0.0

    def launch(self) -> None:
        """Starts the process now; it loads its code and waits for its settings."""
        if self.tally_slot is not None:
            forget(*self.tally_slot)
        self.process = launch(self.role, *self.args, pass_fds=self.pass_fds)
        self.started_s = time.monotonic()

    def start(self, settings: Settings) -> None:
        """Starts the process now, and lets it begin."""
        self.launch()
        assert self.process is not None
        hand_over(self.process, settings)

    def tick(self, settings: Settings, now_s: float) -> None:
        """Notices a death, waits out the back-off, starts again."""
        if self.process is not None:
            if self.process.poll() is None:
                return
            kill(self.process)  # closes the life line, and ends what the dead one left in its session
            self.process = None
            is_calm = now_s - self.started_s > _CALM_S or (self.tally_slot is not None and holds_any(*self.tally_slot))
            self.delay_s = 0.0 if is_calm else min(max(_FIRST_DELAY_S, self.delay_s * 2), _LONGEST_DELAY_S)
            self.next_start_s = now_s + self.delay_s
        if now_s >= self.next_start_s:
            self.start(settings)


@dataclass(slots=True)
class Supervisor:
    """The process tree of one home: `launch()`, then `run()`, both on the main thread; `close()` in any case."""

    settings: Settings
    listener: socket.socket
    children: list[Child] = field(default_factory=list)

    def launch(self) -> None:
        """Lets those that answer calls load their code while the home is prepared. The runner follows: jobs can wait, callers cannot."""
        self.children = [*self._gateways(), Child("reconciler"), Child("runner", next_start_s=time.monotonic() + _RUNNER_AFTER_S)]
        for child in self.children[:-1]:
            child.launch()

    def run(self) -> int:
        """Keeps the children alive until SIGTERM or SIGINT, then drains; 0 when all ended by themselves."""
        with Alarm(signal.SIGTERM, signal.SIGINT, signal.SIGCHLD) as alarm:
            for child in self.children:
                if child.process is not None:
                    hand_over(child.process, self.settings)
            while not alarm.has_heard(signal.SIGTERM, signal.SIGINT):
                now_s = time.monotonic()
                for child in self.children:
                    child.tick(self.settings, now_s)
                alarm.wait(_TICK_S)
            return self._drain()

    def close(self) -> None:
        """Ends whatever is left."""
        for child in self.children:
            if child.process is not None:
                kill(child.process)

    def _gateways(self) -> list[Child]:
        fd, tally = self.listener.fileno(), new_tally(self.settings.gateways)
        return [Child("gateway", (str(fd), str(index), str(tally)), (fd, tally), (tally, index)) for index in range(self.settings.gateways)]

    def _drain(self) -> int:
        """Doors first, so that calls in flight still find their workers; then jobs; then workers.

        The socket is let go of at once: from when the last gateway has closed its own copy, connections are refused."""
        self.listener.close()
        worst = 0
        for role in ("gateway", "runner", "reconciler"):
            ending = [child.process for child in self.children if child.role == role and child.process is not None]
            for process in ending:
                ask_to_end(process)
            end_s = time.monotonic() + self.settings.drain_timeout_s + 3.0 + (self.settings.pre_stop_s if role == "gateway" else 0.0)
            for process in ending:
                worst = max(worst, abs(stop(process, grace_s=max(0.0, end_s - time.monotonic()))))
            for child in self.children:
                child.process = None if child.role == role else child.process
        return 0 if worst in (0, signal.SIGTERM) else 1


@contextlib.contextmanager
def hold_grpc_port(settings: Settings) -> Iterator[Settings]:
    """Holds the port of gRPC for the gateways, which share it; the settings with its number.

    Raises:
        Conflict: `address_in_use`.
        InvalidInput: `address_unusable`.
    """
    port = settings.wanted_grpc_port
    if port is None:
        yield settings
        return
    try:
        holder = reserve(settings.host, port)
    except OSError as error:
        raise _unusable(error, settings.host, port, option="--grpc-port") from error
    with holder:
        yield settings.model_copy(update={"grpc_port": holder.getsockname()[1]})


def _unusable(error: OSError, host: str, port: int, *, option: str = "--port") -> HanlinError:
    if error.errno == errno.EADDRINUSE:
        return Conflict("address_in_use", host=host, port=port, option=option)
    return InvalidInput("address_unusable", host=host, port=port, problem=os.strerror(error.errno or 0))


def bind(settings: Settings) -> socket.socket:
    """The listening socket. Raises Conflict (`address_in_use`) or InvalidInput (`address_unusable`)."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _unusable(error, settings.host, settings.port) from error
    return listener


@contextlib.contextmanager
def lock_home(home: Path) -> Iterator[None]:
    """Holds the home for this process. Raises Conflict (`already_running`) when another `up` has it.

    The kernel frees the lock with the process, however it ends."""
    run = home / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (run / "up.lock").open("a+b") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("already_running", home=str(home)) from error
        yield


def server_file(settings: Settings) -> Path:
    """Where the running server of a home is told of."""
    return settings.home / "run" / "server.json"


def write_server_file(settings: Settings, url: str) -> Path:
    """Tells the jobs and the local tools where this server answers (`<home>/run/server.json`)."""
    path = server_file(settings)
    write_atomically(path, json.dumps({"url": url, "grpc": grpc_address(settings), "pid": os.getpid()}).encode())
    return path


def grpc_address(settings: Settings) -> str | None:
    """Host and port that reach gRPC from this machine; None where there is none."""
    port = settings.wanted_grpc_port
    return None if port is None else f"{_near(settings.host)}:{port}"


def url_of(listener: socket.socket, settings: Settings) -> str:
    """The base URL that reaches the listener from this machine."""
    return f"http://{_near(settings.host)}:{listener.getsockname()[1]}"


def _near(host: str) -> str:
    plain = f"[{host}]" if ":" in host else host
    return {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(plain, plain)  # noqa: S104 - named here to be avoided
