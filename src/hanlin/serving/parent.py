"""A child's ties to its parent: it hears it on stdin, ends with that, steps behind and names itself. On Linux it dies with it as well."""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

NICE = 5  # jobs are at 10
_PACKET_BYTES = 2**18
_AUTOGROUP_ATTEMPTS, _AUTOGROUP_PAUSE_S = 10, 0.11


def step_behind() -> None:
    """Let gateways have the processor first: engines take all that there is, and a refusal or an answer is only late for waiting for them.

    Takes a session of its own, too, see `lower_session`.
    """
    with suppress(OSError):
        os.setsid()
    with suppress(OSError):
        os.nice(NICE)
    lower_session(NICE)


def lower_session(nice: int) -> None:
    """Makes this process's session yield the processor: Linux shares it out among sessions before it looks at the niceness of
    processes (autogroups, sched(7)). A new session begins at 0 whatever its first process had. Of all processes without privileges the
    kernel hears one in a tenth of a second; those that start together ask again."""
    for _ in range(_AUTOGROUP_ATTEMPTS):
        try:
            Path("/proc/self/autogroup").write_text(str(nice), encoding="ascii")
        except BlockingIOError:
            time.sleep(_AUTOGROUP_PAUSE_S)
        except OSError:
            return
        else:
            return


def each_packet(take: Callable[[bytes, list[int]], None]) -> None:
    """A daemon thread that hands on each packet from stdin, a socket held by the parent, with the descriptors that came with it.

    It ends the process when the socket closes, and also when `take` cannot bear a packet: parent and child do not understand each other."""

    def read() -> None:
        with socket.socket(fileno=os.dup(0)) as stdin:
            try:
                while (packet := socket.recv_fds(stdin, _PACKET_BYTES, 8))[0]:
                    take(packet[0], packet[1])
            except Exception:
                traceback.print_exc()
            os._exit(1)

    threading.Thread(target=read, name="parent-watch", daemon=True).start()


def private_stdout() -> BinaryIO:
    """Our stdout for ourselves alone: what libraries print goes to stderr from now on."""
    ours = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return ours


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
