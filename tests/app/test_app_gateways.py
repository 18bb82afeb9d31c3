"""`hanlin up` with several gateways: each serves HTTP and gRPC, they may be killed one by one, and end together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx
import psutil
import pytest
from tests.app.callers import PAUSE_S

from hanlin.gateway.proto import open_inference_pb2 as pb

pytestmark = pytest.mark.e2e
GATEWAYS = 2


@pytest.fixture(scope="module")
def two(make_server, tmp_path_factory: pytest.TempPathFactory):
    found = make_server(tmp_path_factory.mktemp("two") / "home", HANLIN_GATEWAYS=str(GATEWAYS), HANLIN_PRE_STOP_S="1.5").start()
    yield found
    if found.is_running:
        found.stop()


def gateways(server) -> list[psutil.Process]:
    found = []
    for process in server.tree():
        with contextlib.suppress(psutil.Error):
            if " ".join(process.cmdline()).startswith("hanlin gateway"):
                found.append(process)
    return found


def told_places(server) -> dict[str, bytes]:
    """Where each gateway says that it is: one that follows another says it anew."""
    return {path.name: path.read_bytes() for path in (server.home / "run").glob("g*.json")}


def get(url: str, *, timeout: float) -> httpx.Response:
    """Over a connection of its own, for which no certificates are read."""
    return httpx.get(url, timeout=timeout, verify=False, trust_env=False)


def kill_gateways(server, times: int) -> tuple[list[int], list[str]]:
    """Kills them in turn while four callers ask on and on; status codes, and what callers saw go wrong."""
    answers: list[int] = []
    broken: list[str] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.wait(PAUSE_S):
            try:
                answers.append(get(server.url + "/healthz", timeout=30).status_code)
            except httpx.TransportError as error:
                broken.append(type(error).__name__)

    callers = [threading.Thread(target=ask) for _ in range(4)]
    for caller in callers:
        caller.start()
    for _ in range(times):
        wait_for(lambda: len(gateways(server)) == GATEWAYS)
        before, told = len(answers), told_places(server)
        os.kill(gateways(server)[0].pid, signal.SIGKILL)
        wait_for(lambda before=before: len(answers) >= before + 20)
        wait_for(lambda told=told: told_places(server) != told)
    is_over.set()
    for caller in callers:
        caller.join()
    return answers, broken


def test_killed_gateways_break_at_most_what_was_in_flight_there(two) -> None:
    answers, broken = kill_gateways(two, GATEWAYS)
    assert answers == [200] * len(answers)
    assert len(broken) <= GATEWAYS * 4  # each caller had at most one call in flight


@pytest.mark.soak
def test_gateways_killed_50_times(two) -> None:
    _answers, broken = kill_gateways(two, 50)
    assert len(broken) <= 50 * 4


def grpc_address(server) -> str:
    return str(json.loads((server.home / "run" / "server.json").read_text())["grpc"])


def is_ready(address: str) -> bool:
    """Asked over a connection of its own."""
    with contextlib.suppress(grpc.RpcError), grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        ask = channel.unary_unary(
            "/inference.GRPCInferenceService/ServerReady", pb.ServerReadyRequest.SerializeToString, pb.ServerReadyResponse.FromString
        )  # fmt: skip
        return bool(ask(pb.ServerReadyRequest(), timeout=2).ready)
    return False


def test_every_gateway_serves_grpc_and_a_new_one_finds_the_port(two) -> None:
    address = grpc_address(two)
    wait_for(lambda: is_ready(address))
    told = told_places(two)
    os.kill(gateways(two)[0].pid, signal.SIGKILL)
    wait_for(lambda: told_places(two) != told)
    wait_for(lambda: all(is_ready(address) for _ in range(8)))


def test_sigterm_first_says_not_ready_then_refuses_and_exits_0(two) -> None:
    """C066, C067: another SIGTERM changes nothing."""
    address, of_grpc = urlsplit(two.url), grpc_address(two)
    two.process.send_signal(signal.SIGTERM)
    wait_for(lambda: get(two.url + "/readyz", timeout=10).status_code == 503)
    last = get(two.url + "/healthz", timeout=10)
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
    assert not is_ready(of_grpc)
    assert not Path(two.home / "run" / "server.json").exists()
    assert list((two.home / "run").glob("g*.json")) == []


def wait_for(condition) -> None:
    for _ in range(12_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to be")
