"""Child processes: how they are started, named, told their settings, and made to end with their parent.

A child gets its settings as one JSON line on stdin (never in argv or the environment, where others could read a
password). Its stdin stays open as a life line: end of file means that the parent is gone. On Linux the kernel also
kills the child when its parent dies. Knows nothing of what the children do.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from hanlin.observe.orphans import die_with_parent
from hanlin.serving.parent import exit_at_eof, lower_session, set_title
from hanlin.serving.surroundings import SPIN_COUNT
from hanlin.settings import Settings

JOB_NICE = 10  # workers are at 5


def spawn(
    role: str, settings: Settings, *args: str, pass_fds: Sequence[int] = (), output: IO[bytes] | int | None = None
) -> subprocess.Popen[bytes]:
    """Starts `python -m hanlin.app ROLE ARGS…` and hands it the settings. Call as `launch`."""
    child = launch(role, *args, pass_fds=pass_fds, output=output)
    hand_over(child, settings)
    return child


def launch(role: str, *args: str, pass_fds: Sequence[int] = (), output: IO[bytes] | int | None = None) -> subprocess.Popen[bytes]:
    """Starts the process of a role, which loads its code and then waits for its settings. Call from the main thread:
    the kernel's parent-death signal belongs to the thread that forked."""
    command = [sys.executable, "-m", "hanlin.app", role, *args]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT if output is not None else None,
                            pass_fds=tuple(pass_fds), start_new_session=True)  # fmt: skip


def hand_over(child: subprocess.Popen[bytes], settings: Settings) -> None:
    """The settings, for which a launched child waits before it does anything."""
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it died already; the caller sees that by poll()
        child.stdin.write(settings_line(settings))
        child.stdin.flush()


def settings_line(settings: Settings) -> bytes:
    """What a child reads from its stdin, see `await_settings`."""
    return settings.model_dump_json().encode() + b"\n"


def enter(title: str) -> None:
    """In a child, first of all: tie its life to the parent's, take its name."""
    die_with_parent()
    set_title(title)


def await_settings() -> Settings:
    """In a child, once its code is loaded: its settings, as soon as the parent hands them over."""
    line = sys.stdin.buffer.readline()
    if not line:  # the parent died before it could speak
        os._exit(1)
    exit_at_eof()
    return Settings.model_validate_json(line)


def be_modest() -> None:
    """Makes this process the first to yield the processor and to be killed when memory is short. Call it before torch is imported."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    with contextlib.suppress(OSError):
        os.nice(JOB_NICE)
    lower_session(JOB_NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def ask_to_end(child: subprocess.Popen[bytes]) -> None:
    """SIGTERM to one that runs."""
    if child.poll() is None:
        child.terminate()


def stop(child: subprocess.Popen[bytes], *, grace_s: float) -> int:
    """SIGTERM, then SIGKILL after `grace_s` to its whole session; the exit status."""
    ask_to_end(child)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=grace_s)
    return kill(child)


def kill(child: subprocess.Popen[bytes]) -> int:
    """SIGKILL to whatever is left of the child's session; the exit status."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    status = child.wait()
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
    return status
