"""What memory there is, and a process that may have only so much of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hanlin.errors import EngineFailed
from hanlin.observe.memory import Memory, is_out_of_memory, read_family_bytes, read_memory, read_process_bytes

GIB = 2**30


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "meminfo").write_text(f"MemTotal: {8 * 2**20} kB\nMemFree: 1 kB\nMemAvailable: {4 * 2**20} kB\nHugePages_Total: 0\n")
    return folder


def cgroup(tmp_path: Path, limit: str) -> Path:
    folder = tmp_path / "cgroup"
    folder.mkdir()
    (folder / "memory.max").write_text(limit + "\n")
    (folder / "memory.current").write_text(f"{2 * GIB}\n")
    (folder / "memory.stat").write_text(f"anon {GIB}\ninactive_file {GIB}\n")
    return folder


def test_without_a_container_the_machine_counts(proc: Path, tmp_path: Path) -> None:
    assert read_memory(proc=proc, cgroup=tmp_path / "none") == Memory(8 * GIB, 4 * GIB)
    assert read_memory(proc=proc, cgroup=cgroup(tmp_path, "max")) == Memory(8 * GIB, 4 * GIB)


def test_a_container_bounds_the_machine_and_its_cached_files_are_free(proc: Path, tmp_path: Path) -> None:
    assert read_memory(proc=proc, cgroup=cgroup(tmp_path, str(3 * GIB))) == Memory(3 * GIB, 2 * GIB)


def test_a_system_without_these_files_is_unknown(tmp_path: Path) -> None:
    assert read_memory(proc=tmp_path, cgroup=tmp_path) == Memory(None, None)


def test_a_limited_process_is_refused_beyond_it_and_can_say_so() -> None:
    code = """
from hanlin.observe.memory import lift_limit, limit_memory
limit_memory(200 * 2**20)
small = bytearray(100 * 2**20)
try:
    bytearray(150 * 2**20)
except MemoryError:
    lift_limit()
    bytearray(150 * 2**20)
    print("refused")
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "refused\n"


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8"), True),
        (RuntimeError("std::bad_alloc"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_of_memory_are_known_also_behind_our_own(error: Exception, is_it: bool) -> None:
    assert is_out_of_memory(error) is is_it
    try:
        try:
            raise error
        except Exception as cause:
            raise EngineFailed("engine_step_failed", variant="torch-fp32") from cause
    except EngineFailed as wrapped:
        assert is_out_of_memory(wrapped) is is_it


def test_processes_share_the_limit_of_one() -> None:
    code = """
import resource, subprocess, sys
from hanlin.observe.memory import limit_memory, shared_limit
limit_memory(2**36)
with shared_limit(4):
    print(resource.getrlimit(resource.RLIMIT_DATA)[0] == 2**34)
    child = "import resource; print(resource.getrlimit(resource.RLIMIT_DATA)[0] == 2**34)"
    print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True).stdout)
print(resource.getrlimit(resource.RLIMIT_DATA)[0] == 2**36)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "True"], "the process, one that it starts, and afterwards"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_memory_of_a_family_is_that_of_all_it_has_started(tmp_path: Path) -> None:
    for pid, parent, kib in ((9, 1, 100), (7, 9, 20), (12, 7, 3), (13, 2, 1000)):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "stat").write_text(f"{pid} (a (b) c) S {parent} 9 9 0")
        (folder / "smaps_rollup").write_text(f"Rss: 1 kB\nPss: {kib} kB\n")
    (tmp_path / "14").mkdir()  # it has ended meanwhile
    assert read_family_bytes(9, proc=tmp_path) == 123 * 1024
    assert read_family_bytes(12, proc=tmp_path) == 3 * 1024
    assert read_family_bytes(14, proc=tmp_path) == 0
    assert read_family_bytes(os.getpid()) >= read_process_bytes(os.getpid()) // 2 > 0
