"""vLLM's processes end with whoever made them, however that ends: with stand-ins that are started as vLLM starts its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
PATIENCE_S = 60
CORE = """
import multiprocessing, os, pathlib, time
from vllm.v1.executor.multiproc_executor import WorkerProc

class EngineCoreProc:
    @staticmethod
    def run_engine_core(place, *, name):
        worker = multiprocessing.get_context("spawn").Process(target=WorkerProc.worker_main, args=(place,), daemon=True)
        worker.start()
        pathlib.Path(place, name).write_text(str(os.getpid()))
        time.sleep(600)
"""
WORKER = """
import os, pathlib, time

class WorkerProc:
    @staticmethod
    def worker_main(place):
        pathlib.Path(place, "worker").write_text(str(os.getpid()))
        time.sleep(600)
"""
PARENT = """
import multiprocessing, time
from hanlin.engines.vllm_children import tie_children

if __name__ == "__main__":
    tie_children()
    from vllm.v1.engine.core import EngineCoreProc

    context = multiprocessing.get_context("spawn")
    context.Process(target=EngineCoreProc.run_engine_core, args=({place!r},), kwargs={{"name": "core"}}).start()
    time.sleep(600)
"""


@pytest.fixture
def parent(tmp_path: Path) -> subprocess.Popen[bytes]:
    for name, text in {"v1/engine/core": CORE, "v1/executor/multiproc_executor": WORKER}.items():
        file = tmp_path / "vllm" / f"{name}.py"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    program = tmp_path / "parent.py"
    program.write_text(PARENT.format(place=str(tmp_path)))
    path = os.pathsep.join([str(tmp_path), *sys.path])
    return subprocess.Popen([sys.executable, str(program)], env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.DEVNULL)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("killed", ["parent", "core"])
def test_who_is_killed_leaves_nobody_behind(parent: subprocess.Popen[bytes], tmp_path: Path, killed: str) -> None:
    pids: dict[str, int] = {}
    try:
        until_s = time.monotonic() + PATIENCE_S
        while len(pids) < 2:
            assert time.monotonic() < until_s, "they did not start"
            pids = {
                name: int(told) for name in ("core", "worker") if (tmp_path / name).is_file() and (told := (tmp_path / name).read_text())
            }
            time.sleep(0.05)
        os.kill(parent.pid if killed == "parent" else pids["core"], signal.SIGKILL)
        until_s = time.monotonic() + PATIENCE_S
        while any(map(is_alive, pids.values())) and time.monotonic() < until_s:
            time.sleep(0.05)
        assert [name for name, pid in pids.items() if is_alive(pid)] == []
    finally:
        parent.kill()
        parent.wait()
        for pid in filter(is_alive, pids.values()):
            os.kill(pid, signal.SIGKILL)


LATE = """
import sys, time
from hanlin.engines.vllm_children import untied
untied({parent}, print)("tied", flush=True)
time.sleep(600)
"""


def test_who_was_left_alone_while_it_started_does_not_go_on() -> None:
    with subprocess.Popen([sys.executable, "-c", LATE.format(parent=os.getpid())], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "tied\n"
        child.kill()
    late = subprocess.run([sys.executable, "-c", LATE.format(parent=1 << 30)], capture_output=True, timeout=PATIENCE_S, check=False)
    assert (late.returncode, late.stdout) == (1, b""), late.stderr
