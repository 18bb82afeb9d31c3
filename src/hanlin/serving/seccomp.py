"""The system calls that a worker keeps: a seccomp filter, written for x86-64 and aarch64, that answers EPERM to the others.

What starts programs or processes, reaches other processes, opens the network or changes files' owners and rights is refused. `program` is
pure: a list of instructions that a test can run. Every jump stays inside its own block of a few instructions, so no block can fall
into another. Source: the kernel's Documentation/userspace-api/seccomp_filter.rst and include/uapi/linux/bpf_common.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from typing import NamedTuple

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the tables below, AUDIT_ARCH_…
_X32 = 0x40000000  # numbers from here on are x86-64's second table
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "seccomp": (317, 277), "socketpair": (53, 199), "clone": (56, 220), "kill": (62, 129), "tgkill": (234, 131),
    "prlimit64": (302, 261),
}  # fmt: skip
_ABSENT = (435, 425, 426, 427)  # clone3 (its flags cannot be seen; libc falls back to clone) and io_uring (it passes every filter by)
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198), "bind": (49, 200), "setrlimit": (160, 164),
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "connect": (42, 203),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "ptrace": (101, 117), "kcmp": (312, 272),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "lchown": (94, None),
    "fchown": (93, 55), "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "fanotify_init": (300, 262), "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171), "sethostname": (170, 161), "setdomainname": (171, 162), "iopl": (172, None), "ioperm": (173, None),
    "modify_ldt": (154, None), "acct": (163, 89), "quotactl": (179, 60), "personality": (135, 92), "syslog": (103, 116),
}  # fmt: skip

_LOAD, _EQUAL, _AT_LEAST, _HAS_BITS, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16  # offsets in struct seccomp_data; the low half of an argument comes first
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPES, _CLONE_THREAD = 1, 1, 0xF, 0x10000
_SET_FILTER, _ALL_THREADS, _ASK_ACTION = 1, 1, 2


class Instruction(NamedTuple):
    """One instruction of classic BPF: `if_true` and `if_false` are how many instructions to jump over."""

    code: int
    if_true: int
    if_false: int
    value: int


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def program(machine: str, pid: int) -> list[Instruction]:
    """The filter of process `pid` on `machine` (`x86_64` or `aarch64`)."""
    column, architecture = _MACHINES[machine]
    refuse, allow = _end(_ERRNO | errno.EPERM), _end(_ALLOW)
    own = [_argument(0), Instruction(_EQUAL, 0, 1, pid), allow, refuse]
    unix_stream = [
        _argument(0), Instruction(_EQUAL, 1, 0, _AF_UNIX), refuse,
        _argument(1), Instruction(_AND, 0, 0, _SOCK_TYPES), Instruction(_EQUAL, 1, 0, _SOCK_STREAM), refuse, allow,
    ]  # fmt: skip
    thread = [_argument(0), Instruction(_HAS_BITS, 0, 1, _CLONE_THREAD), allow, refuse]
    only_read = [_argument(2), Instruction(_EQUAL, 1, 0, 0), refuse, _argument(2, 4), Instruction(_EQUAL, 1, 0, 0), refuse, allow]
    judged = {"socketpair": unix_stream, "clone": thread, "kill": own, "tgkill": own, "prlimit64": only_read}
    found = [Instruction(_LOAD, 0, 0, _ARCHITECTURE_AT), Instruction(_EQUAL, 1, 0, architecture), refuse]
    found += [Instruction(_LOAD, 0, 0, _NUMBER_AT)]
    found += [Instruction(_AT_LEAST, 0, 1, _X32), refuse] if machine == "x86_64" else []
    for name, body in judged.items():
        found += _block(_NUMBERS[name][column], body)
    for numbers in _REFUSED.values():
        found += _block(numbers[column], [refuse])
    for number in _ABSENT:
        found += _block(number, [_end(_ERRNO | errno.ENOSYS)])
    return [*found, allow]


def is_offered() -> bool:
    """Whether this kernel and processor take the filter."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _MACHINES:
        return False
    action = ctypes.c_uint32(_ERRNO)
    return _call(machine, _ASK_ACTION, 0, ctypes.byref(action)) == 0


def restrict() -> bool:
    """Put the filter on all threads of this process, for ever. Needs no_new_privs. False where it cannot be done."""
    if not is_offered():
        return False
    wanted = program(platform.machine(), os.getpid())
    packed = b"".join(
        one.code.to_bytes(2, "little") + bytes((one.if_true, one.if_false)) + one.value.to_bytes(4, "little") for one in wanted
    )
    memory = ctypes.create_string_buffer(packed, len(packed))
    whole = _Program(len(wanted), ctypes.cast(memory, ctypes.c_void_p))
    return _call(platform.machine(), _SET_FILTER, _ALL_THREADS, ctypes.byref(whole)) == 0


def _call(machine: str, operation: int, flags: int, argument: object) -> int:
    number = _NUMBERS["seccomp"][_MACHINES[machine][0]]
    return int(
        ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number or 0), ctypes.c_long(operation), ctypes.c_long(flags), argument)
    )


def _block(number: int | None, body: list[Instruction]) -> list[Instruction]:
    """`body`, which must end in returns, for the calls of this number; for others it is jumped over."""
    return [] if number is None else [Instruction(_EQUAL, 0, len(body), number), *body]


def _argument(index: int, half: int = 0) -> Instruction:
    """Load the low half of an argument, at 4 the high one; what the kernel takes as an int has none."""
    return Instruction(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index + half)


def _end(value: int) -> Instruction:
    return Instruction(_RETURN, 0, 0, value)
