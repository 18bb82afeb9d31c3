"""Several gateways at one socket: all answer, none is missed, one speaks for all, what is gone is gone on all."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hanlin.gateway.acceptor import Acceptor, Connections, Tally, new_tally
from hanlin.gateway.peers import Peers, Withdraw

GATEWAYS = 3
OWNER = {"authorization": "Bearer hl_app"}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory, make_stack) -> Iterator:
    found = make_stack(tmp_path_factory.mktemp("several") / "home", gateways=GATEWAYS)
    found.add_model("m:1")
    try:
        found.wait_state(found.deploy("m:1"), "ready")
        yield found
    finally:
        found.close()


def call(stack) -> int:
    """The status of a call over a connection of its own."""
    headers = {"authorization": "Bearer hl_app"}
    return httpx.post(stack.url + "/models/sentiment", json={"inputs": "good"}, timeout=30, headers=headers).status_code


def counted(stack) -> dict[str, float]:
    """Answered calls by gateway, as any one of them says."""
    pattern = re.compile(r'hanlin_requests_total\{gateway="(\d)",method="POST",route="/models/\{endpoint\}",status="200"\} (\S+)')
    return {index: float(value) for index, value in pattern.findall(httpx.get(stack.url + "/metrics", timeout=30).text)}


def all_listen(stack) -> bool:
    """Whether each gateway hears the one that is asked."""
    text = httpx.get(stack.url + "/metrics", timeout=30).text
    return all(f'hanlin_requests_in_flight{{gateway="{index}"}}' in text for index in range(GATEWAYS))


def test_connections_are_shared_out_and_any_gateway_counts_for_all(several) -> None:
    wait_for(lambda: all_listen(several))
    held = [several.connect() for _ in range(30)]  # they stay: who holds the fewest takes the next
    try:
        for connection in held:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        asked = [connection.recv(65536) for connection in held]
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in asked)
        assert [number_held(several, gateway.pid) >= 6 for gateway in several.gateways] == [True] * GATEWAYS
    finally:
        for connection in held:
            connection.close()
    before = sum(counted(several).values())
    assert [call(several) for _ in range(12)] == [200] * 12
    assert sum(counted(several).values()) == before + 12


def number_held(stack, pid: int) -> int:
    """Connections of a process that callers hold."""
    inodes = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    port = f":{stack.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(f"socket:[{fields[9]}]" in inodes for fields in lines if fields[1].endswith(port) and fields[3] == "01")


def test_a_killed_gateway_loses_no_waiting_connection(several) -> None:
    for index in range(GATEWAYS):
        several.gateways[index].send_signal(signal.SIGSTOP)
    wait_for(lambda: all(is_stopped(gateway.pid) for gateway in several.gateways))  # nobody takes a connection now
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(call, several) for _ in range(12)]
        wait_for(lambda: backlog(several) == 12)
        several.gateways[0].kill()
        several.gateways[0].wait()
        for gateway in several.gateways[1:]:
            gateway.send_signal(signal.SIGCONT)
        assert Counter(future.result() for future in waiting) == {200: 12}
    several.start_gateway(0)
    wait_for(lambda: all_listen(several))


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def backlog(stack) -> int:
    """Connections that nobody has taken yet."""
    port = f":{stack.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return next(int(fields[4].partition(":")[2], 16) for fields in lines if fields[1].endswith(port) and fields[3] == "0A")


def test_what_one_gateway_withdraws_is_gone_on_the_others(tmp_path) -> None:
    async def run() -> list[Withdraw]:
        told: list[Withdraw] = []
        peers = [Peers(tmp_path, index=index, gateways=GATEWAYS) for index in range(GATEWAYS)]
        for one in peers[:2]:  # the third has died
            one.on_withdraw = told.append
            await one.start()
        await peers[0].withdraw("default/sentiment", ("dep-1",))
        for one in peers[:2]:
            await one.stop()
        return told

    assert asyncio.run(run()) == [Withdraw("default/sentiment", ("dep-1",))]


def test_what_is_poison_to_one_gateway_is_refused_by_the_others(several) -> None:
    """An input that kills workers kills two, however many gateways there are."""
    wait_for(lambda: all_listen(several))
    before = retries(several)
    answers = [httpx.post(several.url + "/models/sentiment", json={"inputs": "crash"}, timeout=30, headers=OWNER) for _ in range(9)]
    assert [answer.json()["error"]["code"] for answer in answers] == ["poison_input"] * 9
    assert retries(several) == before + 2, "twice alone, at the gateway that came first"


def retries(stack) -> float:
    """Calls sent again, by all gateways."""
    return sum(map(float, re.findall(r'hanlin_retries_total\{gateway="\d"\} (\S+)', httpx.get(stack.url + "/metrics", timeout=30).text)))


def test_a_stranger_is_told_nothing(tmp_path) -> None:
    async def run() -> bytes:
        peers = Peers(tmp_path, index=0, gateways=2)
        await peers.start()
        path = next(tmp_path.glob("g0-*.sock"))
        assert path.stat().st_mode & 0o777 == 0o600
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"token": "guessed", "question": {"type": "Count"}}\n')
        answer = await reader.read()
        writer.close()
        await peers.stop()
        return answer

    assert asyncio.run(run()) == b""


def test_a_gateway_with_more_connections_leaves_the_next_to_another_but_not_for_long() -> None:
    descriptor = new_tally(2)
    ours, other = Tally(descriptor, 0), Tally(descriptor, 1)

    async def run() -> tuple[bool, bool]:
        listener = socket.create_server(("127.0.0.1", 0))
        held = Connections(ours)
        held.add(asyncio.Protocol())
        taken = asyncio.Event()

        class Told(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                taken.set()
                transport.close()

        was_busier = ours.has_less_busy() and not other.has_less_busy()
        acceptor = Acceptor(listener, Told, ours)
        caller = socket.create_connection(listener.getsockname())
        await asyncio.wait_for(taken.wait(), 20)  # the other one never takes it
        acceptor.close()
        caller.close()
        listener.close()
        return was_busier, taken.is_set()

    assert asyncio.run(run()) == (True, True)
    os.close(descriptor)


def wait_for(condition) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to be")
