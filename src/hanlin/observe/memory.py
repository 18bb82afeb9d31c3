"""How much memory this machine, or the container around us, has and has left; and a limit for this process. Linux; others: unknown."""

from __future__ import annotations

import contextlib
import gc
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NO_MEMORY = re.compile(r"can.t allocate memory|cannot allocate memory|bad_alloc|out of memory", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Memory:
    """Sizes in bytes; `available_bytes` is what can be had without anybody being killed. None: unknown."""

    total_bytes: int | None
    available_bytes: int | None


def read_memory(*, proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> Memory:
    """The memory of this machine, bounded by the container's (cgroup v2) where there is one."""
    fields = _read_fields(proc / "meminfo")
    kib = {name: int(value.split()[0]) * 1024 for name, value in fields.items() if value.split()[1:] == ["kB"]}
    total, available = kib.get("MemTotal"), kib.get("MemAvailable")
    limit, used = _read_number(cgroup / "memory.max"), _read_number(cgroup / "memory.current")
    if limit is not None and used is not None:
        stat = _read_fields(cgroup / "memory.stat", separator=" ")
        used -= int(stat.get("inactive_file", 0))  # cached files, which give way
        total = min(limit, total or limit)
        available = min(max(0, limit - used), limit if available is None else available)
    return Memory(total, available)


def read_process_bytes(pid: int, *, proc: Path = Path("/proc")) -> int:
    """The memory that a process has for itself: private pages, and its share of those it shares (PSS); 0: unknown."""
    size = _read_fields(proc / str(pid) / "smaps_rollup").get("Pss", "0").split()
    return int(size[0]) * 1024


def read_family_bytes(pid: int, *, proc: Path = Path("/proc")) -> int:
    """As `read_process_bytes`, of a process and all that it and they have started."""
    family, parents = {pid}, _read_parents(proc)
    while further := {child for child, parent in parents.items() if parent in family} - family:
        family |= further
    return sum(read_process_bytes(each, proc=proc) for each in family)


def limit_memory(size_bytes: int) -> None:
    """Lets this process hold at most `size_bytes` of its own data; 0 means three quarters of the machine's memory.

    What is asked for beyond it is refused (`MemoryError`), before the machine runs short and others suffer. Mapped files and
    shared memory do not count."""
    if limit := size_bytes or (read_memory().total_bytes or 0) * 3 // 4:
        _set_limit(limit)


def lift_limit() -> None:
    """Ends `limit_memory`: a process that ran into it must still be able to say so."""
    _set_limit(-1)


@contextlib.contextmanager
def shared_limit(count: int) -> Iterator[None]:
    """Within the block this process, and each that it starts there, hold at most one `count`-th of what it might.

    So `count` of them together keep to the limit of one."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, _hard = resource.getrlimit(resource.RLIMIT_DATA)
        if count > 1 and soft != resource.RLIM_INFINITY:
            _set_limit(soft // count)
            try:
                yield
            finally:
                _set_limit(soft)
            return
    yield


def _set_limit(size_bytes: int) -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # no such limit on this system, or a lower one in force
        import resource

        _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (hard if size_bytes < 0 else size_bytes, hard))


@contextlib.contextmanager
def while_loading() -> Iterator[None]:
    """Loading code makes much and leaves no garbage: looking for it takes a tenth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settle() -> None:
    """Once everything is loaded: the garbage collector need not look at it again, nor run after every few hundred new objects.

    Almost nothing of a request is a cycle; with its usual settings the collector took 3 % of a gateway's time. But what is in flight when
    it looks at the young is old for it afterwards: where a thousand at once left their streams, it has to look at the old now and then."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 2)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error`, or what it came from, says that memory was refused; native libraries say it in words only."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError) or (isinstance(seen, RuntimeError | OSError) and _NO_MEMORY.search(str(seen))):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _read_fields(path: Path, *, separator: str = ":") -> dict[str, str]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(separator) for line in lines)}


def _read_parents(proc: Path) -> dict[int, int]:
    """Of every process."""
    found: dict[int, int] = {}
    for path in proc.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            found[int(path.parent.name)] = int(path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[1])
    return found


def _read_number(path: Path) -> int | None:
    """The number in `path`; None when there is none, or it is `max`."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
