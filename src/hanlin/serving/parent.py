"""A child's ties to its parent: it dies with it, takes its first line from it and names itself. Linux does all, others the pipe only."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int | None = None) -> None:
    """Ask the kernel for SIGKILL when the parent's thread that forked us ends. `parent` is its pid, to see that it still lives."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)  # it died before we asked


def read_line() -> str:
    """The next line of stdin, byte by byte so that nothing behind it is swallowed."""
    line = bytearray()
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        line += byte
    return line.decode("ascii").strip()


def exit_at_eof() -> None:
    """A daemon thread that ends the process when stdin, a pipe held by the parent, closes. Reads and drops what comes."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def set_title(title: str) -> None:
    """Show `title` in ps and top."""
    try:
        from setproctitle import setproctitle
    except ImportError:
        return
    setproctitle(title)
