"""Landlock: a process gives up the file system, TCP and the signalling of others, but for what it names. Linux 5.13 and later.

Source: the kernel's Documentation/userspace-api/landlock.rst. What a kernel is too old for is left out; `version` says how old it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import sys
from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on all processors
_QUERY_VERSION = 1
_PATH_BENEATH = 1
_WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV = 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
_OF_FILES = 1 | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV  # the rights that a rule about a single file may grant
_RIGHTS = ((1, 0x1FFF), (2, 1 << 13), (3, _TRUNCATE), (5, _IOCTL_DEV))  # the version that brought them
_TCP, _TCP_SINCE = 0b11, 4  # bind and connect
_SCOPES, _SCOPES_SINCE = 0b11, 6  # abstract unix sockets and signals of other domains

READ = _READ_FILE | _READ_DIR
READ_WRITE = _READ_FILE | _WRITE_FILE


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """The kernel's Landlock version; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, _call(_CREATE_RULESET, None, 0, _QUERY_VERSION))


def has_tcp() -> bool:
    """Whether TCP can be given up."""
    return version() >= _TCP_SINCE


def has_signals() -> bool:
    """Whether the signalling of other processes can be given up."""
    return version() >= _SCOPES_SINCE


def restrict(grants: Iterable[tuple[str, int]]) -> bool:
    """Give up everything but `grants`, pairs of a path and its rights, for ever: on the calling thread and those it starts from now on.

    Paths that do not exist are passed over. Needs no_new_privs. False where the kernel has no Landlock.
    """
    found = version()
    if not found:
        return False
    rights = sum(bits for since, bits in _RIGHTS if found >= since)
    wanted = _Ruleset(rights, _TCP if found >= _TCP_SINCE else 0, _SCOPES if found >= _SCOPES_SINCE else 0)
    ruleset = _call(_CREATE_RULESET, ctypes.byref(wanted), ctypes.sizeof(wanted), 0)
    if ruleset < 0:
        return False
    try:
        for path, granted in grants:
            with contextlib.suppress(FileNotFoundError, PermissionError, NotADirectoryError):
                _grant(ruleset, path, granted & rights)
        return _call(_RESTRICT_SELF, ruleset, 0, 0) == 0
    finally:
        os.close(ruleset)


def _grant(ruleset: int, path: str, rights: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            rights &= _OF_FILES
        rule = _PathBeneath(rights, parent)
        if _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0) != 0:
            raise OSError(ctypes.get_errno(), "landlock_add_rule", path)
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    kernel = ctypes.CDLL(None, use_errno=True)
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return int(kernel.syscall(ctypes.c_long(number), *wide))
