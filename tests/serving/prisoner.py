"""A registered engine that tries to get out: each attempt is harmless even where it succeeds. Says on stderr what came of it.

The artifact folder's `attempts.json` names what belongs to others: `artifact`, `outside` (a folder), `port`, `pid`.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from hanlin.engines.base import ENGINES, Capabilities
from hanlin.engines.fake import FakeBehaviour, FakeSession

PTRACE = {"x86_64": 101, "aarch64": 117}
PTRACE_SEIZE = 0x4206
TERABYTE = 2**40
FORKS = 20


def attempts(folder: Path) -> dict[str, Callable[[], object]]:
    told = json.loads((folder / "attempts.json").read_text())
    outside = Path(told["outside"])
    return {
        "read_passwd": Path("/etc/passwd").read_bytes,
        "read_artifact": Path(told["artifact"]).read_bytes,
        "list_home": lambda: list(outside.iterdir()),
        "read_environ": Path(f"/proc/{told['pid']}/environ").read_bytes,
        "write_outside": lambda: (outside / "written").write_bytes(b"x"),
        "write_own_model": lambda: (folder / "hanlin.json").write_bytes(b"{}"),
        "write_tmp": lambda: (Path("/tmp") / f"hanlin-prisoner-{os.getpid()}").write_bytes(b"x"),
        "remove_artifact": lambda: Path(told["artifact"]).unlink(),
        "chmod_model": lambda: (folder / "hanlin.json").chmod(0o666),
        "connect": lambda: socket.create_connection(("127.0.0.1", told["port"]), 2).close(),
        "datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
        "unix_connect": lambda: socket.socket(socket.AF_UNIX).connect(told["socket"]),
        "bind": lambda: socket.socketpair()[0].bind(told["outside"] + "/bound"),
        "unix_datagram": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
        "execve": lambda: os.execv(sys.executable, [sys.executable, "-c", "pass"]),
        "subprocess": lambda: subprocess.run([sys.executable, "-c", "pass"], check=True),
        "ptrace": lambda: system_call(PTRACE[platform.machine()], PTRACE_SEIZE, told["pid"], 0, 0),
        "kill": lambda: os.kill(told["pid"], 0),
        "stop_signal": lambda: os.kill(told["pid"], signal.SIGCONT),
        "fork_bomb": fork,
        "limits": raise_limit,
        "mmap": lambda: mmap.mmap(-1, TERABYTE),
        "mmap_private": lambda: mmap.mmap(-1, TERABYTE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS),
        "mmap_reserved": lambda: mmap.mmap(-1, TERABYTE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=mmap.PROT_READ),
    }


def fork() -> None:
    for _ in range(FORKS):
        if os.fork() == 0:
            os._exit(0)
        os.wait()


def raise_limit() -> None:
    """From the one that its parent set to the one that is the end of all."""
    import resource

    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    except ValueError as error:  # Python's word for EPERM
        raise PermissionError(errno.EPERM, str(error)) from error


def system_call(number: int, *arguments: int) -> None:
    if ctypes.CDLL(None, use_errno=True).syscall(number, *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except MemoryError:
        return "ENOMEM"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    except ValueError as error:
        return str(error)
    return "done"


@ENGINES.register("prisoner")
class Prisoner:
    name = "prisoner"
    capabilities = Capabilities(precisions=("fp32",))

    def is_batch_invariant(self, precision: str) -> bool:
        return True

    def files(self, precision: str) -> tuple[str, ...]:
        return ()

    def load(self, folder: Path, precision: str, *, threads: int) -> FakeSession:
        found = {name: outcome(attempt) for name, attempt in attempts(folder).items()}
        elsewhere: dict[str, str] = {}  # a thread made later is bound as well
        thread = threading.Thread(target=lambda: elsewhere.update(thread=outcome(Path("/etc/passwd").read_bytes)))
        thread.start()
        thread.join()
        status = Path("/proc/self/status").read_text().splitlines()
        kept = {line.partition(":")[0]: line.split()[1] for line in status if line.startswith(("CapEff", "NoNewPrivs", "Seccomp:"))}
        sys.stderr.write(json.dumps({"attempts": found | elsewhere, "status": kept}) + "\n")
        sys.stderr.flush()
        return FakeSession(FakeBehaviour())
