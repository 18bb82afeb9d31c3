"""`map` over a real server that is killed in the middle: its gateway, its worker, all of it. Every row once, in order, the same answers."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hanlin.client import AsyncHanlin, Prediction
from hanlin.errors import HanlinError

pytestmark = pytest.mark.e2e
TEXTS = [" ".join(f"w{(row * step) % 10}" for step in range(1, 4 + row % 5)) for row in range(6000)]


@pytest.fixture(scope="module")
def mapped(mortal, publish_fakes):
    """A server of endpoint `m`, half a millisecond a text, and what it answers undisturbed."""
    publish_fakes(mortal.home, {"row_ms": 0.5}, name="mapped")
    with mortal.client() as client:
        client.deployments.wait(client.deployments.create("mapped:1", "m"))
        truth = list(client.map("m", TEXTS))
    return mortal, truth


def strike(server, name: str, *, meanwhile: Callable[[], object] = lambda: None) -> None:
    """kill -9 to a part of the server; the whole of it comes back on its port, after `meanwhile`."""
    if name == "server":
        port = int(server.url.rpartition(":")[2])
        server.kill()
        meanwhile()
        server.start(port)
    else:
        server.find(f"hanlin {name}").kill()


def read_async(server, is_amid: threading.Event, is_struck: threading.Event) -> list[Prediction]:
    """All rows by the asynchronous client, which goes on in the middle when the server has been killed."""

    async def read() -> list[Prediction]:
        found = []
        async with AsyncHanlin(server.url, server.key) as client:
            async for row in client.map("m", TEXTS):
                if len(found) == 1500:
                    is_amid.set()
                    await asyncio.to_thread(is_struck.wait, 120)
                found.append(row)
        return found

    return asyncio.run(read())


def test_both_clients_outlive_the_death_of_every_part_of_the_server(mapped) -> None:
    server, truth = mapped
    found, is_amid, is_struck = [], threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool, server.client(max_retries=0) as client:
        other = pool.submit(read_async, server, is_amid, is_struck)
        for number, row in enumerate(client.map("m", TEXTS)):
            if part := {500: "gateway", 2000: "worker", 3500: "server"}.get(number):
                assert part != "server" or is_amid.wait(120)
                strike(server, part, meanwhile=is_struck.set)
            found.append(row)
        assert found == truth
        assert other.result() == truth


SCRIPT = """
    import sys
    from hanlin.client import Hanlin
    url, key, checkpoint, rows = sys.argv[1:]
    texts = (" ".join(f"w{(row * step) % 10}" for step in range(1, 4 + row % 5)) for row in range(int(rows)))
    with Hanlin(url, key) as client:
        for row in client.map("m", texts, checkpoint=checkpoint):
            print(row.label, repr(row.score))
"""


def run_killed(server, checkpoint: Path, rows: int, *, kills: int, pause_s: float) -> str:
    """What a script prints that maps with a checkpoint, and is killed so often before it may end."""
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), server.url, server.key, str(checkpoint), str(rows)]
    for _ in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        size, deadline = checkpoint.stat().st_size if checkpoint.exists() else 0, time.monotonic() + 60
        while (checkpoint.stat().st_size if checkpoint.exists() else 0) <= size + 20_000 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(pause_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_killed_client_goes_on_from_its_checkpoint(mapped, tmp_path: Path) -> None:
    server, truth = mapped
    printed = run_killed(server, tmp_path / "answers", len(TEXTS), kills=3, pause_s=0.05)
    assert printed.splitlines() == [f"{row.label} {row.score!r}" for row in truth]


@pytest.mark.soak
def test_a_million_rows_with_a_kill_of_client_or_server_at_every_turn(mapped, tmp_path: Path) -> None:
    server, _ = mapped
    rows = 1_000_000
    printed = run_killed(server, tmp_path / "answers", rows, kills=20, pause_s=10.0).splitlines()
    with server.client(max_retries=0) as client:
        texts = (" ".join(f"w{(row * step) % 10}" for step in range(1, 4 + row % 5)) for row in range(rows))
        undisturbed = client.map("m", texts, on_error="return")
        for number, row in enumerate(undisturbed):
            assert not isinstance(row, HanlinError)
            if number % 100_000 == 50_000:
                strike(server, ("gateway", "worker", "server")[number // 100_000 % 3])
            assert printed[number] == f"{row.label} {row.score!r}"
    assert len(printed) == rows
