"""How a job gets its process: forked by the nursery, which has the code loaded, or a new one where that cannot or need not be."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import IO, Protocol

from hanlin.app.nursery import PACKET_BYTES
from hanlin.app.processes import kill, settings_line, spawn
from hanlin.jobs import Job
from hanlin.settings import Settings

LIGHT = frozenset({"batch", "ingest"})  # kinds that need no torch: no nursery is started for them, a process of 60 MB does
# What most other jobs import; of plugins our own alone: a stranger's may start a thread.
LOADED = (
    "torch", "torch.export", "torch.onnx", "transformers.modeling_utils", "transformers.models.auto.modeling_auto", "onnx", "onnxscript",
    "sklearn.linear_model", "httpcore", "pyarrow.parquet", "sqlalchemy.dialects.sqlite", "hanlin.app.job", "hanlin.pipelines.*",
    "hanlin.tasks.*", "hanlin.engines.*", "hanlin.compression.*", "hanlin.training.lessons.*", "hanlin.training.train",
)  # fmt: skip
IDLE_S = 300.0  # so long a nursery's memory (half a gigabyte) waits for another job
_ANSWER_S = 5.0  # a nursery that has not ended a killed job after this is ended itself
_KILLED = -int(signal.SIGKILL)


class JobProcess(Protocol):
    """A job's process, as its runner sees it."""

    output: IO[bytes]

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""

    def terminate(self) -> None:
        """SIGTERM, unless it has ended."""

    def kill(self) -> int:
        """SIGKILL to it and to all that it started; waits for its end, for a few seconds at most. The exit status."""


class SpawnedJob:
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


class NurseryClient:
    """A nursery, seen from outside. What it is told while it still loads waits in its socket: nobody waits for it.

    All methods belong to the runner's main thread: children die with the thread that forked them."""

    def __init__(self, loaded: Sequence[str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            command = [sys.executable, "-m", "hanlin.app", "nursery", *loaded]
            self.process = subprocess.Popen(command, stdin=theirs.fileno(), start_new_session=True)
            undo.pop_all()
        self._socket = ours
        self._count = 0
        self._pids: dict[int, int | None] = {}  # of each child that has not ended, by its number; None: not born yet
        self._ended: dict[int, int] = {}
        self.is_gone = False
        self._has_loaded = False

    @property
    def has_loaded(self) -> bool:
        """Whether a child is born as soon as it is asked for."""
        self._hear(0.0)
        return self._has_loaded and not self.is_gone

    @property
    def is_idle(self) -> bool:
        """Whether it has no child, and will have none."""
        return not self._pids

    def start(self, job: str, descriptors: Sequence[int]) -> int | None:
        """The number of a child that is to have these as stdin and output; None: the nursery is gone."""
        self._count += 1
        self._pids[self._count] = None
        self._send({"child": self._count, "job": job}, descriptors)
        return None if self.is_gone else self._count

    def status(self, child: int) -> int | None:
        """The exit status of a child, None while it lives. A nursery that is gone took its children along."""
        self._hear(0.0)
        return self._ended.get(child, _KILLED if self.is_gone else None)

    def signal(self, child: int, number: signal.Signals) -> None:
        """Sends it to a child, or with SIGKILL to all of its session; nothing once it has ended."""
        if child in self._pids:
            self._send({"child": child, "signal": int(number)}, ())

    def kill(self, child: int) -> int:
        """SIGKILL to a child; its exit status. A nursery that does not answer is ended, with all its children."""
        self.signal(child, signal.SIGKILL)
        give_up_at_s = time.monotonic() + _ANSWER_S
        while (status := self.status(child)) is None:
            if (left_s := give_up_at_s - time.monotonic()) <= 0:
                self.close()
            else:
                self._hear(left_s)
        self._ended.pop(child, None)
        return status

    def close(self) -> None:
        """Ends it and its children, and what they have started."""
        if self.is_gone:
            return
        self.is_gone = True
        self._socket.close()
        self.process.kill()
        self.process.wait()
        for pid in self._pids.values():
            if pid is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
        self._pids.clear()

    def _send(self, what: dict[str, object], descriptors: Sequence[int]) -> None:
        if self.is_gone:
            return
        try:
            socket.send_fds(self._socket, [json.dumps(what).encode()], descriptors, socket.MSG_DONTWAIT)
        except OSError:
            self.close()

    def _hear(self, wait_s: float) -> None:
        """Takes what it has said; waits for the first of it."""
        while not self.is_gone:
            self._socket.settimeout(wait_s)
            try:
                packet = self._socket.recv(PACKET_BYTES)
            except (BlockingIOError, TimeoutError):
                return
            except OSError:
                packet = b""
            if not packet:
                self.close()
                return
            said = json.loads(packet)
            if "loaded" in said:
                self._has_loaded = True
            elif "status" in said:
                self._pids.pop(said["child"], None)
                self._ended[said["child"]] = said["status"]
            else:
                self._pids[said["child"]] = said["pid"]
            wait_s = 0.0


class ForkedJob:
    """A process that the nursery forks, as soon as it has loaded."""

    def __init__(self, nursery: NurseryClient, child: int, life: int, output: IO[bytes]) -> None:
        self._nursery = nursery
        self._child = child
        self._life: int | None = life  # its stdin: while we hold it, it knows that we live
        self._status: int | None = None
        self.output = output

    def poll(self) -> int | None:
        """See `JobProcess`."""
        if self._status is None:
            self._status = self._nursery.status(self._child)
        return self._status

    def terminate(self) -> None:
        """See `JobProcess`."""
        self._nursery.signal(self._child, signal.SIGTERM)

    def kill(self) -> int:
        """See `JobProcess`."""
        if self._life is not None:
            self._status = self._nursery.kill(self._child)
            os.close(self._life)
            self._life = None
        assert self._status is not None
        return self._status


class JobStarter:
    """Gives jobs their processes. Belongs to the runner's main thread."""

    def __init__(self, settings: Settings, loaded: Sequence[str] = LOADED, *, idle_s: float = IDLE_S) -> None:
        self._settings = settings
        self._loaded = loaded  # modules that every forked job has from the first
        self._idle_s = idle_s
        self._idle_since_s: float | None = None
        self._is_leaving = False  # it has waited long enough, and ends with the last of its light jobs
        self._needing: list[ForkedJob] = []  # jobs that it is kept for
        self._can_fork = _can_fork()
        self.nursery: NurseryClient | None = None

    def start(self, job: Job) -> JobProcess:
        """A process that does one attempt of `job`. Raises OSError when the system has none to give."""
        is_light = job.kind in LIGHT
        can_fork = self._can_fork if not is_light else self.nursery is not None and self.nursery.has_loaded and not self._is_leaving
        if can_fork and (forked := self._fork(job.id)) is not None:
            if not is_light:
                self._needing.append(forked)
            return forked
        return SpawnedJob(self._settings, job.id)

    def rest(self, now_s: float) -> None:
        """Ends a nursery that no job has needed for long, once it has no light one either. Call it every now and then."""
        self._needing = [job for job in self._needing if job.poll() is None]
        if self.nursery is None or self._needing:
            self._idle_since_s = None
        elif self._idle_since_s is None:
            self._idle_since_s = now_s
        self._is_leaving = self._idle_since_s is not None and now_s - self._idle_since_s >= self._idle_s
        if self._is_leaving and self.nursery is not None and self.nursery.is_idle:
            self.close()

    def close(self) -> None:
        """Ends the nursery, and all jobs that it has forked."""
        if self.nursery is not None:
            self.nursery.close()
            self.nursery = None
        self._idle_since_s, self._is_leaving, self._needing = None, False, []

    def _fork(self, job: str) -> ForkedJob | None:
        if self.nursery is None or self.nursery.is_gone:
            self.nursery = NurseryClient(self._loaded)
        with contextlib.ExitStack() as undo, contextlib.ExitStack() as theirs:
            stdin, life = os.pipe()
            theirs.callback(os.close, stdin)
            undo.callback(os.close, life)
            reader, writer = os.pipe()
            theirs.callback(os.close, writer)
            output = undo.enter_context(os.fdopen(reader, "rb"))
            os.write(life, settings_line(self._settings))  # a pipe holds it until the child reads
            child = self.nursery.start(job, (stdin, writer))
            if child is None:
                return None
            undo.pop_all()
            return ForkedJob(self.nursery, child, life, output)


def _can_fork() -> bool:
    """Whether a process may be forked with libraries loaded (Linux), and be watched by a descriptor (containers may forbid it)."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True
