"""C070: a model that does not fit into what memory is free is refused with its reason, and what serves goes on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hanlin.errors import EngineFailed, NotReady
from hanlin.observe.memory import Memory
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.memory import MemoryGuard, weights_bytes
from hanlin.serving.pool import LocalPool
from hanlin.serving.process import WorkerOptions
from hanlin.serving.router import Request

MIB = 2**20


class Machine:
    """Free memory that a test sets."""

    def __init__(self, free_bytes: int | None) -> None:
        self.free_bytes = free_bytes

    def __call__(self) -> Memory:
        return Memory(None, self.free_bytes)


async def test_what_fits_is_admitted_and_what_does_not_is_refused_with_both_sizes() -> None:
    guard = MemoryGuard(Machine(10 * MIB))
    async with guard.room_for(10 * MIB):
        pass
    with pytest.raises(NotReady) as caught:
        async with guard.room_for(10 * MIB + 1):
            raise AssertionError("admitted")
    assert caught.value.code == "insufficient_memory"
    assert caught.value.params == {"needed_mib": 11, "free_mib": 10}


async def test_unknown_memory_refuses_nothing() -> None:
    async with MemoryGuard(Machine(None)).room_for(2**60):
        pass


async def test_two_that_fit_alone_load_one_after_the_other() -> None:
    """Both would be admitted by what is free before either has loaded."""
    machine = Machine(10 * MIB)
    guard = MemoryGuard(machine)
    loading, ended = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def load(name: str) -> None:
        async with guard.room_for(6 * MIB):
            seen.append(name)
            loading.set()
            await ended.wait()
            machine.free_bytes = 4 * MIB

    first = asyncio.ensure_future(load("first"))
    await loading.wait()
    second = asyncio.ensure_future(load("second"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert seen == ["first"]
    ended.set()
    await first
    with pytest.raises(NotReady):
        await second
    assert seen == ["first"]


async def test_room_is_given_back_when_loading_fails() -> None:
    guard = MemoryGuard(Machine(10 * MIB))
    with pytest.raises(EngineFailed):
        async with guard.room_for(10 * MIB):
            raise EngineFailed("engine_failed")
    async with asyncio.timeout(5), guard.room_for(10 * MIB):
        pass


def test_a_variant_needs_its_own_files_or_the_trained_ones(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"0" * 100)
    own = tmp_path / "variants" / "onnxruntime-int8" / "model.onnx"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"0" * 30)
    assert weights_bytes(tmp_path, "torch-fp32") == 100
    assert weights_bytes(tmp_path, "onnxruntime-int8") == 30
    assert weights_bytes(tmp_path, "onnxruntime-fp32") == 0
    (tmp_path / "wide.safetensors").write_bytes(b"0" * 7)  # a linear road beside the weights
    assert weights_bytes(tmp_path, "torch-bf16") == 107
    assert weights_bytes(tmp_path, "onnxruntime-int8") == 30


@pytest.fixture
def machine() -> Machine:
    return Machine(10 * MIB)


@pytest.fixture
async def pool(tmp_path: Path, machine: Machine) -> AsyncIterator[LocalPool]:
    folders = {f"m:{n}": tmp_path / "models" / f"m:{n}" for n in (1, 2)}
    found = LocalPool(WorkerOptions(run_dir=tmp_path / "run", memory=MemoryGuard(machine)), folders=folders)
    yield found
    await found.drain()


def spec(number: int) -> DeploymentSpec:
    return DeploymentSpec(f"d{number}", "default", "e", "m", f"m:{number}", "fake-fp32")


async def served_version(pool: LocalPool) -> str:
    return (await pool.submit("default", "e", Request("good", {}, 20.0, ""))).info.version


@pytest.mark.e2e
async def test_a_version_too_large_leaves_the_former_one_serving(pool: LocalPool, make_folder) -> None:
    (make_folder("m:1") / "model.safetensors").write_bytes(b"0" * MIB)
    with (make_folder("m:2") / "model.safetensors").open("wb") as weights:
        weights.truncate(64 * MIB)
    await pool.ensure(spec(1))
    pids = pool.pids("default", "e")
    with pytest.raises(EngineFailed) as caught:
        await pool.ensure(spec(2))
    assert caught.value.code == "version_not_served"
    assert "64 MiB" in caught.value.message and "10 MiB" in caught.value.message
    assert await served_version(pool) == "m:1"
    assert pool.pids("default", "e") == pids


@pytest.mark.e2e
async def test_a_worker_that_died_comes_back_once_there_is_room(pool: LocalPool, machine: Machine, make_folder) -> None:
    (make_folder("m:1") / "model.safetensors").write_bytes(b"0" * MIB)
    await pool.ensure(spec(1))
    (pid,) = pool.pids("default", "e")
    machine.free_bytes = 0
    os.kill(pid, signal.SIGKILL)
    waiting = asyncio.ensure_future(served_version(pool))
    group = pool._sets["default/e"]
    while "memory" not in str(group.reason):
        await asyncio.sleep(0.01)
    assert not waiting.done()
    machine.free_bytes = 10 * MIB
    assert await waiting == "m:1"
