"""`hanlin up` with several gateways: they may be killed one by one, and end together."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

pytestmark = pytest.mark.e2e
GATEWAYS = 2


@pytest.fixture
def two(make_server, tmp_path):
    found = make_server(tmp_path / "home", HANLIN_GATEWAYS=str(GATEWAYS), HANLIN_PRE_STOP_S="1.5").start()
    yield found
    if found.process.poll() is None:
        found.stop()


def gateways(server) -> list[psutil.Process]:
    found = []
    for process in server.tree():
        with contextlib.suppress(psutil.Error):
            if " ".join(process.cmdline()).startswith("hanlin gateway"):
                found.append(process)
    return found


def kill_gateways(server, times: int) -> tuple[list[int], list[str]]:
    """Kills them in turn while four callers ask without pause; status codes, and what callers saw go wrong."""
    answers: list[int] = []
    broken: list[str] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            try:
                answers.append(httpx.get(server.url + "/healthz", timeout=30).status_code)
            except httpx.TransportError as error:
                broken.append(type(error).__name__)

    callers = [threading.Thread(target=ask) for _ in range(4)]
    for caller in callers:
        caller.start()
    for _ in range(times):
        wait_for(lambda: len(gateways(server)) == GATEWAYS)
        before = len(answers)
        os.kill(gateways(server)[0].pid, signal.SIGKILL)
        wait_for(lambda before=before: len(answers) >= before + 20)
    is_over.set()
    for caller in callers:
        caller.join()
    return answers, broken


def test_killed_gateways_break_at_most_what_was_in_flight_there(two) -> None:
    answers, broken = kill_gateways(two, 3)
    assert answers == [200] * len(answers)
    assert len(broken) <= 3 * 4  # each caller had at most one call in flight


@pytest.mark.soak
def test_gateways_killed_50_times(two) -> None:
    _answers, broken = kill_gateways(two, 50)
    assert len(broken) <= 50 * 4


def test_sigterm_first_says_not_ready_then_refuses_and_exits_0(two) -> None:
    """C066, C067: another SIGTERM changes nothing."""
    address = urlsplit(two.url)
    two.process.send_signal(signal.SIGTERM)
    wait_for(lambda: httpx.get(two.url + "/readyz", timeout=10).status_code == 503)
    last = httpx.get(two.url + "/healthz", timeout=10)
    assert (last.status_code, last.headers["connection"]) == (200, "close")
    two.process.send_signal(signal.SIGTERM)

    def is_refused() -> bool:
        try:
            socket.create_connection((address.hostname, address.port), timeout=10).close()
        except ConnectionRefusedError:
            return True
        return False

    wait_for(is_refused)
    assert two.process.wait(30) == 0
    assert not Path(two.home / "run" / "server.json").exists()
    assert list((two.home / "run").glob("g*.json")) == []


def wait_for(condition) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to be")
