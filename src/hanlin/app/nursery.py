"""Where jobs are forked with their code loaded: one process imports what training needs, and forks itself for each job.

Loading torch and transformers takes a processor several seconds; a fork takes milliseconds, and shares the pages. Only where fork is safe
(Linux), and only from a process that computes nothing itself and has no thread of Python's: a fork takes one thread along.

The runner sends a packet per job, with the job's stdin and output as descriptors:

           ◀───────────────────────── {"loaded": true}, once
    runner ── {"child": n, "job": id} + 2 descriptors ──▶ nursery
           ◀───────────────────────── {"child": n, "pid": pid}
           ── {"child": n, "signal": number} ─▶
           ◀────────────────── {"child": n, "status": status}

While it lives the nursery alone signals and reaps its children, so that no signal reaches a stranger who got the number of a dead one. When
the runner is gone it ends, and the kernel ends its children with it (`die_with_parent`).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Sequence

from hanlin.app.processes import JOB_NICE
from hanlin.observe.orphans import die_with_parent
from hanlin.serving.parent import lower_session

PACKET_BYTES = 4096
_NOT_BORN = 71  # EX_OSERR of sysexits.h


def load(names: Sequence[str]) -> None:
    """Imports modules, by `package.*` all of a package. What is not installed, or is broken, jobs meet themselves where they need it."""
    for name in names:
        try:
            found = importlib.import_module(name.removesuffix(".*"))
            if name.endswith(".*"):
                load([f"{found.__name__}.{module.name}" for module in pkgutil.iter_modules(found.__path__)])
        except ModuleNotFoundError:
            continue
        except Exception:
            traceback.print_exc()


class Nursery:
    """Forks jobs until the runner is gone. Single-threaded."""

    def __init__(self, runner: socket.socket) -> None:
        self._runner = runner
        self._watched = selectors.DefaultSelector()
        self._watched.register(runner, selectors.EVENT_READ)
        self._children: dict[int, tuple[int, int]] = {}  # pid and pidfd by number

    def run(self) -> str | None:
        """The id of the job that this process is from now on, in a child; None in the nursery itself, at its end."""
        gc.freeze()  # a collection in a child would touch, and so copy, every page that it shares with the others
        self._say({"loaded": True})
        while True:
            for key, _mask in self._watched.select():
                if key.fileobj is not self._runner:
                    self._reap(int(key.data))
                elif not (found := socket.recv_fds(self._runner, PACKET_BYTES, 2))[0]:
                    return None
                elif (job := self._take(json.loads(found[0]), found[1])) is not None:
                    return job

    def _take(self, asked: dict[str, str | int], descriptors: list[int]) -> str | None:
        child = int(asked["child"])
        if "signal" in asked:
            if child in self._children:
                _send(self._children[child][0], signal.Signals(int(asked["signal"])))
            return None
        nursery = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            pid = -1
        if pid == 0:
            self._leave(nursery, *descriptors)
            return str(asked["job"])
        for descriptor in descriptors:
            os.close(descriptor)
        if pid < 0:
            self._say({"child": child, "status": _NOT_BORN})
        else:
            self._watch(child, pid)
        return None

    def _watch(self, child: int, pid: int) -> None:
        try:
            watched = os.pidfd_open(pid)
        except OSError:  # no descriptor left: one that nobody watches must not run
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._say({"child": child, "status": _NOT_BORN})
            return
        self._children[child] = pid, watched
        self._watched.register(watched, selectors.EVENT_READ, data=child)
        self._say({"child": child, "pid": pid})

    def _leave(self, nursery: int, stdin: int, output: int) -> None:
        """In a child: what was the nursery's is not ours."""
        die_with_parent(nursery)
        os.setsid()
        lower_session(JOB_NICE)
        for ours, standard in ((stdin, 0), (output, 1), (output, 2)):
            os.dup2(ours, standard)
        for descriptor in (stdin, output, *(watched for _pid, watched in self._children.values())):
            os.close(descriptor)
        self._watched.close()
        self._runner.close()
        _forget_chance()

    def _reap(self, child: int) -> None:
        pid, watched = self._children.pop(child)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # whatever it left running; until it is reaped the number is its own
        _pid, status = os.waitpid(pid, 0)
        self._watched.unregister(watched)
        os.close(watched)
        self._say({"child": child, "status": os.waitstatus_to_exitcode(status)})

    def _say(self, what: dict[str, int]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the runner is gone: the next turn sees it
            self._runner.send(json.dumps(what).encode())


def _send(pid: int, number: signal.Signals) -> None:
    """To one that is not reaped: the number is its own."""
    if number == signal.SIGKILL:
        with contextlib.suppress(ProcessLookupError):  # it has no session of its own yet
            os.killpg(pid, number)
    with contextlib.suppress(ProcessLookupError):
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
