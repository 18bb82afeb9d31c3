"""How a job gets its process: forked by the nursery, which has the code loaded, or a new one where that cannot or need not be."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Protocol

from hanlin.app.nursery import PACKET_BYTES
from hanlin.app.processes import kill, settings_line, spawn
from hanlin.jobs import Job
from hanlin.settings import Settings

_LIGHT = frozenset({"batch", "ingest"})  # they need no torch: a process of 60 MB does
# What most jobs import; what is not installed they do without.
_LOADED = (
    "torch", "torch.export", "torch.onnx", "transformers.modeling_utils", "transformers.models.auto.modeling_auto", "onnx", "onnxscript",
    "sklearn.linear_model",
    "hanlin.app.job", "hanlin.pipelines.import_model", "hanlin.pipelines.train", "hanlin.pipelines.fine_tune", "hanlin.pipelines.compress",
)  # fmt: skip
_KILLED = -int(signal.SIGKILL)

log = logging.getLogger(__name__)


class JobProcess(Protocol):
    """A job's process, as its runner sees it."""

    output: IO[bytes]

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""

    def terminate(self) -> None:
        """SIGTERM, unless it has ended."""

    def kill(self) -> int:
        """SIGKILL to it and to all that it started; waits for its end. The exit status."""


class Spawned:
    """A process started from nothing."""

    def __init__(self, settings: Settings, job: str) -> None:
        self._child = spawn("job", settings, job, output=subprocess.PIPE)
        assert self._child.stdout is not None
        self.output: IO[bytes] = self._child.stdout

    def poll(self) -> int | None:
        """See `JobProcess`."""
        return self._child.poll()

    def terminate(self) -> None:
        """See `JobProcess`."""
        self._child.terminate()

    def kill(self) -> int:
        """See `JobProcess`."""
        return kill(self._child)


class Nursing:
    """A running nursery, seen from outside. All methods belong to the runner's main thread."""

    def __init__(self, loaded: Sequence[str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hanlin.app", "nursery", *loaded], stdin=theirs.fileno(), start_new_session=True
            )
        self._socket = ours
        self._born: list[int] = []
        self._ended: dict[int, int] = {}
        self.is_gone = False

    def bear(self, job: str, descriptors: Sequence[int]) -> int | None:
        """The pid of a new process with these stdin and output; None: the nursery has ended meanwhile."""
        self._send({"job": job}, descriptors)
        while not self._born and not self.is_gone:
            self._hear(is_waiting=True)
        return self._born.pop() if self._born else None

    def status(self, pid: int, *, is_waiting: bool = False) -> int | None:
        """The exit status of a child. A nursery that died took its children with it."""
        self._hear(is_waiting=False)
        while is_waiting and pid not in self._ended and not self.is_gone:
            self._hear(is_waiting=True)
        return self._ended.get(pid, _KILLED if self.is_gone else None)

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Sends it to a child, or with SIGKILL to all of its session; nothing once it has ended."""
        self._send({"pid": pid, "signal": int(number)}, ())

    def _send(self, what: dict[str, object], descriptors: Sequence[int]) -> None:
        try:
            socket.send_fds(self._socket, [json.dumps(what).encode()], descriptors)
        except OSError:
            self._part()

    def _hear(self, *, is_waiting: bool) -> None:
        """Takes what it says: one packet when waiting, else all that is there."""
        while not self.is_gone:
            try:
                packet = self._socket.recv(PACKET_BYTES, 0 if is_waiting else socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._part()
                return
            said = json.loads(packet)
            if "born" in said:
                self._born.append(said["born"])
            else:
                self._ended[said["ended"]] = said["status"]
            if is_waiting:
                return

    def _part(self) -> None:
        self.is_gone = True
        self._socket.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Born:
    """A process that the nursery forked."""

    def __init__(self, nursing: Nursing, pid: int, life: int, output: int) -> None:
        self._nursing = nursing
        self._pid = pid
        self._life: int | None = life  # its stdin: while we hold it, it knows that we live
        self.output: IO[bytes] = os.fdopen(output, "rb")

    def poll(self) -> int | None:
        """See `JobProcess`."""
        return self._nursing.status(self._pid)

    def terminate(self) -> None:
        """See `JobProcess`."""
        self._nursing.signal(self._pid, signal.SIGTERM)

    def kill(self) -> int:
        """See `JobProcess`."""
        self._nursing.signal(self._pid, signal.SIGKILL)
        status = self._nursing.status(self._pid, is_waiting=True)
        if self._life is not None:
            os.close(self._life)
            self._life = None
        return _KILLED if status is None else status


class Births:
    """Gives jobs their processes. Belongs to the runner's main thread: children die with the thread that forked them."""

    def __init__(self, settings: Settings, loaded: Sequence[str] = _LOADED) -> None:
        self._settings = settings
        self._loaded = loaded  # modules that every child has from birth
        self._nursing: Nursing | None = None

    def start(self, job: Job) -> JobProcess:
        """A process that does one attempt of `job`. Raises OSError when the system has none to give."""
        if sys.platform == "linux" and job.kind not in _LIGHT:
            for _attempt in range(2):  # an idle nursery may end just as we ask
                if (child := self._bear(job.id)) is not None:
                    return child
            log.warning("the nursery does not stay alive", extra={"job": job.id})
        return Spawned(self._settings, job.id)

    def _bear(self, job: str) -> Born | None:
        if self._nursing is None or self._nursing.is_gone:
            self._nursing = Nursing(self._loaded)
        stdin, life = os.pipe()
        output, writer = os.pipe()
        try:
            pid = self._nursing.bear(job, (stdin, writer))
        finally:
            os.close(stdin)
            os.close(writer)
        if pid is None:
            os.close(life)
            os.close(output)
            return None
        with contextlib.suppress(BrokenPipeError):  # it died already: its status says so
            os.write(life, settings_line(self._settings))
        return Born(self._nursing, pid, life, output)
