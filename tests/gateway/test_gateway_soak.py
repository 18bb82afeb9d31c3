"""Everything at once for a long time: steady load of all kinds beside callers that crash. Memory must not drift, nor descriptors.

A minute in the default run; `make soak` takes SOAK_MINUTES, 15 when not said, 1440 for a day.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from types import ModuleType

import psutil
import pytest

from hanlin.bench.connection import Target
from hanlin.bench.load import Limits, Load, Window

pytestmark = pytest.mark.e2e
MAX_DRIFT = 0.05
MAX_GATEWAY_BYTES = 150 * 2**20
RATE = 20.0
LONG = " ".join(f"w{number % 190 + 7}" for number in range(150))  # read in windows
CALLS = [
    *({"inputs": f"w{number} good"} for number in range(7, 107)),
    *({"inputs": [f"w{number}"] * (number % 32 + 1)} for number in range(7, 57)),
    *({"inputs": [LONG, "good"]} for _ in range(10)),
    {"inputs": "nan"}, {"inputs": "fail"}, {"inputs": ["good", ""]}, {"inputs": "good", "parameters": {"top_k": "x"}}, {"inputs": 7},
]  # fmt: skip


@pytest.fixture
def stack(make_stack, tmp_path: Path) -> Iterator[object]:
    """A small response cache, so that filling it is no drift."""
    found = make_stack(tmp_path / "home", request_timeout_s=20.0, response_cache_bytes=200_000)
    try:
        found.add_model("m:1", row_ms=0.05)
        found.wait_state(found.deploy("m:1", long_text="window", cache_ttl_s=2), "ready")
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def callers() -> ModuleType:
    """The crashing callers of the file beside this one: test folders are no packages."""
    path = Path(__file__).with_name("test_gateway_callers.py")
    spec = importlib.util.spec_from_file_location("hanlin_crashing_callers", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_for(stack, callers: ModuleType, seconds: float, chosen: random.Random) -> Window:
    """Steady load for so long, crashing callers beside it."""
    target = Target.of(stack.url, "sentiment", "hl_app")
    load = Load(target, [json.dumps(call).encode() for call in CALLS], limits=Limits(seconds, 0.0, 2**40, 20.0))
    found: list[Window] = []
    loading = threading.Thread(target=lambda: found.append(asyncio.run(load.open(RATE))))
    loading.start()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        crash(stack, callers, chosen)
    loading.join()
    return found[0]


def crash(stack, callers: ModuleType, chosen: random.Random) -> None:
    """Eight callers at once, each ending in its own way; what they are told under load does not matter here."""
    connections = [stack.connect() for _ in callers.RUDE]
    for connection, act in zip(connections, chosen.sample(callers.RUDE, len(connections)), strict=True):
        connection.settimeout(5)
        with contextlib.suppress(AssertionError, OSError):
            act(connection)
    for connection in connections:
        (callers.reset if chosen.random() < 0.5 else socket.socket.close)(connection)


def private_bytes(pids: list[int]) -> list[int]:
    """What each process holds alone, the median of a few looks while nobody calls."""
    looks = []
    for _ in range(5):
        looks.append([psutil.Process(pid).memory_full_info().uss for pid in pids])
        time.sleep(0.1)
    return [int(median(values)) for values in zip(*looks, strict=True)]


def soak(stack, callers: ModuleType, seconds: float, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = random.Random(11)
    load_for(stack, callers, seconds / 3, chosen)
    pids = [stack.gateway.pid, stack.reconciler.pid, *stack.worker_pids()]
    descriptors, before = callers.held(stack), private_bytes(pids)
    window = load_for(stack, callers, seconds * 2 / 3, chosen)
    assert callers.held(stack) == descriptors
    assert [stack.gateway.pid, stack.reconciler.pid, *stack.worker_pids()] == pids, "a process was replaced"
    after = private_bytes(pids)
    drifts = {name: now / then - 1 for name, now, then in zip(("gateway", "reconciler", "worker"), after, before, strict=True)}
    with capsys.disabled():
        said = ", ".join(f"{name} {then / 2**20:.1f} MB {drifts[name]:+.2%}" for name, then in zip(drifts, before, strict=True))
        print(f"\n  soak of {seconds:.0f} s: {window.answered} calls; after the warm-up: {said}")
    assert window.good > window.failed > 0, "both kinds of calls are part of it"
    assert window.unsent == 0
    assert max(drifts.values()) <= MAX_DRIFT
    assert after[0] < MAX_GATEWAY_BYTES, "it did not drift any more, because it had grown before"
    assert stack.worker_values()["hanlin_worker_inflight_calls"] == 0
    assert stack.gateway_log.read_text() == ""


def test_a_minute_of_everything_leaves_memory_and_descriptors_as_they_were(stack, callers, capsys) -> None:
    soak(stack, callers, 60.0, capsys)


@pytest.mark.soak
def test_everything_for_long_leaves_memory_and_descriptors_as_they_were(stack, callers, capsys) -> None:
    soak(stack, callers, 60.0 * float(os.environ.get("SOAK_MINUTES", "15")), capsys)
