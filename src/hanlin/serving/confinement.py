"""What a worker gives up before it reads a model: files, network, other processes, programs, privileges, memory without end.

One folder it may read, and what Python and the engines need; it may write nothing. Sockets to listen at it gets from its parent.
`confine` must be the process's first act: Landlock and capabilities bind the calling thread and what it starts later. Linux only;
elsewhere nothing is in force, and said to be. Knows no engine: what is read here was found by running them all.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from hanlin.errors import EngineFailed
from hanlin.serving import landlock, seccomp

Policy = Literal["required", "available", "off"]
PROTECTIONS = ("no_new_privs", "no_capabilities", "limits", "files", "network", "signals", "system_calls")

MAX_DESCRIPTORS = 4096
_ADDRESS_SPACE_BEYOND = 256 * 2**30  # engines map files and reserve ranges that they never touch
_PR_SET_NO_NEW_PRIVS = 38
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x20080522
_SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo",
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/osrelease",
    "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/bus/pci/devices", "/sys/fs/cgroup", "/dev/urandom", "/dev/zero",
)  # fmt: skip


class Cell(msgspec.Struct, frozen=True):
    """What one worker is left with.

    Args:
        folder: where its models are.
        closed: nothing else below it may be read, even where Python's own folders contain it.
        data_bytes: most memory of its own, which its parent may lower; 0 sets no limit.
    """

    policy: Policy = "available"
    folder: str | None = None
    closed: str | None = None
    data_bytes: int = 0


_in_force: list[str] = []
_held: list[int] = []


def in_force() -> tuple[str, ...]:
    """The protections of this process."""
    return tuple(_in_force)


def offered() -> tuple[str, ...]:
    """The protections that this kernel has to give."""
    if sys.platform != "linux":
        return ()
    has = {
        "no_new_privs": True, "no_capabilities": platform.machine() in _CAPSET, "limits": True, "files": landlock.version() > 0,
        "network": landlock.has_tcp(), "signals": landlock.has_signals(), "system_calls": seccomp.is_offered(),
    }  # fmt: skip
    return tuple(name for name in PROTECTIONS if has[name])


def confine(cell: Cell) -> tuple[str, ...]:
    """Give up everything but `cell`, for ever. Must run on the main thread, alone. Returns the protections in force.

    Raises:
        EngineFailed: `confinement_incomplete`, when the policy is `required` and a protection cannot be had.
    """
    if cell.policy == "off":
        return ()
    found: list[str] = []
    if sys.platform == "linux":
        grants = list(_grants(cell))  # before privileges go
        found += ["no_new_privs"] * _give_up_new_privileges()
        found += ["limits"] * _limit(cell.data_bytes)
        _hold(path for path in _SYSTEM if path.startswith("/proc/"))
        if landlock.restrict(grants):
            found += ["files", *["network"] * landlock.has_tcp(), *["signals"] * landlock.has_signals()]
        found += ["no_capabilities"] * _give_up_capabilities()
        found += ["system_calls"] * seccomp.restrict()
    _in_force[:] = [name for name in PROTECTIONS if name in found]
    if cell.policy == "required" and (missing := [name for name in PROTECTIONS if name not in found]):
        raise EngineFailed("confinement_incomplete", missing=", ".join(missing))
    return in_force()


def limit_data(pid: int, data_bytes: int) -> None:
    """Let another process hold this much memory of its own, within what its cell allows; it cannot change that itself."""
    if sys.platform != "linux" or not data_bytes:
        return
    import resource

    with contextlib.suppress(OSError, ValueError):  # it has just ended
        _soft, hard = resource.prlimit(pid, resource.RLIMIT_DATA)
        resource.prlimit(pid, resource.RLIMIT_DATA, (data_bytes if hard == resource.RLIM_INFINITY else min(data_bytes, hard), hard))


def _grants(cell: Cell) -> Iterable[tuple[str, int]]:
    yield "/dev/null", landlock.READ_WRITE
    python = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *filter(None, sys.path)}
    libraries = filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":"))
    for path in _SYSTEM:
        yield path, landlock.READ
    secret = None if cell.closed is None else Path(cell.closed).resolve()
    for path in {os.path.realpath(path) for path in (*python, *libraries)}:
        for part in _around(Path(path), secret):
            yield str(part), landlock.READ
    if cell.folder is not None:
        yield cell.folder, landlock.READ


def _around(folder: Path, secret: Path | None) -> list[Path]:
    """`folder`, or when it contains `secret`, all in it that does not. Both without symbolic links."""
    if secret is None or not secret.is_relative_to(folder):
        return [folder]
    return [] if secret == folder else [part for child in folder.iterdir() for part in _around(child, secret)]


def _hold(paths: Iterable[str]) -> None:
    """Keep them open: the kernel makes entries of /proc anew when it is short of memory, and rules are about the old ones."""
    for path in paths:
        with contextlib.suppress(OSError):
            _held.append(os.open(path, os.O_PATH | os.O_CLOEXEC))


def _give_up_new_privileges() -> bool:
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)


def _give_up_capabilities() -> bool:
    """Even of root."""
    number = _CAPSET.get(platform.machine())
    if number is None:
        return False
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    return bool(
        ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)())) == 0
    )


def _limit(data_bytes: int) -> bool:
    import resource

    limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, MAX_DESCRIPTORS)]
    if data_bytes:
        limits += [(resource.RLIMIT_DATA, data_bytes), (resource.RLIMIT_AS, data_bytes + _ADDRESS_SPACE_BEYOND)]
    for name, wanted in limits:
        _soft, hard = resource.getrlimit(name)
        least = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(name, (least, least))
    return True
