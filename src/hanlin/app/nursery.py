"""Where jobs are born with their code loaded: one process imports what training needs, and forks itself for each job.

Loading torch and transformers takes a processor several seconds; a fork takes milliseconds, and shares the pages. Only where fork is safe
(Linux), and only from a process that computes nothing itself and has no thread of Python's: a fork takes one thread along.

The runner sends a packet per job, with the job's stdin and output as descriptors:

    runner ── {"job": id} + 2 descriptors ──▶ nursery ── {"born": pid}
           ── {"signal": number, "pid": pid} ─▶
           ◀───────────────────────── {"ended": pid, "status": status}

The nursery alone signals and reaps its children, so that no signal ever reaches a stranger who got the number of a dead one. When the
runner is gone it ends, and the kernel ends its children with it (`die_with_parent`).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence

IDLE_S = 300.0  # so long its memory (half a gigabyte) waits for another job
PACKET_BYTES = 4096


def load(names: Sequence[str]) -> None:
    """Imports modules; what is not installed children do without."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


class Nursery:
    """Bears jobs until the runner is gone or has had nothing for it for `IDLE_S`. Single-threaded."""

    def __init__(self, runner: socket.socket) -> None:
        self._runner = runner
        self._watched = selectors.DefaultSelector()
        self._watched.register(runner, selectors.EVENT_READ)
        self._children: dict[int, int] = {}  # pid → pidfd

    def run(self) -> str | None:
        """The id of the job that this process is from now on, in a child; None in the nursery itself, at its end."""
        gc.freeze()  # a collection would touch, and so copy, every page that children share
        while events := self._watched.select(None if self._children else IDLE_S):
            for key, _mask in events:
                if key.fileobj is not self._runner:
                    self._reap(int(key.data))
                elif not (found := socket.recv_fds(self._runner, PACKET_BYTES, 2))[0]:
                    return None
                elif (job := self._take(json.loads(found[0]), found[1])) is not None:
                    return job
        return None

    def _take(self, asked: dict[str, object], descriptors: list[int]) -> str | None:
        if "signal" in asked:
            if (pid := int(str(asked["pid"]))) in self._children:
                with contextlib.suppress(ProcessLookupError):
                    _send(pid, signal.Signals(int(str(asked["signal"]))))
            return None
        nursery = os.getpid()
        if (pid := os.fork()) == 0:
            self._leave(nursery, *descriptors)
            return str(asked["job"])
        for descriptor in descriptors:
            os.close(descriptor)
        self._children[pid] = os.pidfd_open(pid)
        self._watched.register(self._children[pid], selectors.EVENT_READ, data=pid)
        self._say({"born": pid})
        return None

    def _leave(self, nursery: int, stdin: int, output: int) -> None:
        """In a child: what was the nursery's is not ours."""
        from hanlin.serving.parent import die_with_parent

        die_with_parent(nursery)
        os.setsid()
        for ours, standard in ((stdin, 0), (output, 1), (output, 2)):
            os.dup2(ours, standard)
        for descriptor in (stdin, output, *self._children.values()):
            os.close(descriptor)
        self._watched.close()
        self._runner.close()
        gc.unfreeze()
        _forget_chance()

    def _reap(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # whatever it left running; until it is reaped the number is its own
        _pid, status = os.waitpid(pid, 0)
        descriptor = self._children.pop(pid)
        self._watched.unregister(descriptor)
        os.close(descriptor)
        self._say({"ended": pid, "status": os.waitstatus_to_exitcode(status)})

    def _say(self, what: dict[str, object]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the runner is gone: the next turn sees it
            self._runner.send(json.dumps(what).encode())


def _send(pid: int, number: signal.Signals) -> None:
    if number == signal.SIGKILL:
        os.killpg(pid, number)
    else:
        os.kill(pid, number)


def _forget_chance() -> None:
    """Random states of its own, which siblings do not share; Python's own `random` sees to itself."""
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(int.from_bytes(os.urandom(4)))
    if "torch" in sys.modules:
        sys.modules["torch"].seed()


def run_nursery() -> str | None:
    """The nursery process, its socket on stdin. As `Nursery.run`."""
    return Nursery(socket.socket(fileno=os.dup(0))).run()
