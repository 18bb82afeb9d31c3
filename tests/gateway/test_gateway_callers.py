"""C013, C014, C073: callers that do not read, hang up, or crash in every way leave nothing behind."""

from __future__ import annotations

import json
import random
import socket
import struct
import time
from collections.abc import Callable

import psutil
import pytest

pytestmark = pytest.mark.e2e
HEAD = b"POST /models/sentiment HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hl_app\r\nContent-Type: application/json\r\n"
LABELS = tuple(f"label-{number:04}" for number in range(1000))


def request(inputs: object) -> bytes:
    body = json.dumps({"inputs": inputs}).encode()
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def reset(connection: socket.socket) -> None:
    """Ends a connection the rude way: RST, not FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def wait_until(condition: Callable[[], bool], problem: str) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(problem)


def in_flight(stack) -> float:
    """Requests in the gateway, the one that asks not counted."""
    lines = stack.client.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith("hanlin_requests_in_flight{")).split()[1]) - 1


def status_count(stack, status: int) -> float:
    wanted = f'route="/models/{{endpoint}}",status="{status}"}}'
    return sum(
        float(line.rpartition(" ")[2]) for line in stack.client.get("/metrics").text.splitlines() if wanted in line and "total" in line
    )


def test_c013_a_caller_who_never_reads_is_cut_off_and_holds_no_more_than_a_buffer(own_stack) -> None:
    """Each answer is over 1 MB and each caller asks for 60: unread, they must not pile up in the gateway."""
    own_stack.add_model("m:1", labels=LABELS)
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")
    size = len(own_stack.post(["good"] * 32).content)
    assert size > 1_000_000
    gateway = psutil.Process(own_stack.gateway.pid)
    before = gateway.memory_info().rss
    deaf = [own_stack.connect() for _ in range(3)]
    for connection in deaf:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(request(["good"] * 32) * 60)
    wait_until(lambda: in_flight(own_stack) == len(deaf), "the answers were not held")
    wait_until(lambda: in_flight(own_stack) == 0, "a caller who does not read was held for ever")
    assert gateway.memory_info().rss - before < 60 * 2**20
    assert len(own_stack.post(["good"] * 32).content) == size
    for connection in deaf:
        connection.close()
    assert own_stack.worker_values()["hanlin_worker_inflight_calls"] == 0


def test_c014_a_reset_while_the_model_computes_is_counted_once_and_hurts_nobody(own_stack) -> None:
    own_stack.add_model("m:1", step_ms=1000)
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")
    assert own_stack.post("good").status_code == 200
    gone, queued, staying = own_stack.connect(), own_stack.connect(), own_stack.connect()
    gone.sendall(request("bad"))
    wait_until(lambda: own_stack.worker_values()["hanlin_worker_inflight_calls"] == 1, "it never ran")
    queued.sendall(request("bad"))
    staying.sendall(request("good"))
    wait_until(lambda: own_stack.worker_values()["hanlin_worker_inflight_calls"] == 3, "they never waited")
    reset(gone)
    reset(queued)
    assert staying.recv(65536).startswith(b"HTTP/1.1 200")
    staying.close()
    wait_until(lambda: in_flight(own_stack) == 0, "a call was left behind")
    values = own_stack.worker_values()
    assert (values["hanlin_worker_cancelled_total"], values["hanlin_worker_queued_tokens"]) == (2, 0)
    assert values["hanlin_worker_rows_total"] == 3, "what waited for a caller who had gone was computed"
    assert (status_count(own_stack, 499), status_count(own_stack, 200)) == (2, 2)


def test_a_caller_who_pipelines_and_hangs_up_is_no_error_of_ours(own_stack) -> None:
    """The first of several requests was not told, and its end was logged as a crash."""
    own_stack.add_model("m:1", step_ms=1000)
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")
    assert own_stack.post("good").status_code == 200
    caller = own_stack.connect()
    caller.sendall(request("good") * 3)
    wait_until(lambda: own_stack.worker_values()["hanlin_worker_inflight_calls"] == 1, "it never ran")
    reset(caller)
    wait_until(lambda: in_flight(own_stack) == 0, "a call was left behind")
    assert own_stack.post("good").status_code == 200
    assert own_stack.worker_values()["hanlin_worker_calls_total"] == 3, "pipelined calls of a caller who had gone were made"
    assert own_stack.gateway_log.read_text() == ""


def half_a_head(connection: socket.socket) -> None:
    connection.sendall(HEAD[:60])


def half_a_body(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 5000\r\n\r\n" + b'{"inputs": "go')


def half_a_chunk(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n" + b'{"inputs"')


def no_reading(connection: socket.socket) -> None:
    connection.sendall(request(["good"] * 32) * 5)


def half_an_answer(connection: socket.socket) -> None:
    connection.sendall(request(["good", "bad"]))
    connection.recv(10)


def broken_json(connection: socket.socket) -> None:
    connection.sendall(request("x")[:-1] + b"]")
    assert connection.recv(65536).startswith(b"HTTP/1.1 4")


def two_lengths(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello")
    assert connection.recv(65536).startswith(b"HTTP/1.1 400")


def good_call(connection: socket.socket) -> None:
    connection.sendall(request("good"))
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")


RUDE = [half_a_head, half_a_body, half_a_chunk, no_reading, half_an_answer, broken_json, two_lengths, good_call]


def misbehave(stack, chosen: random.Random, rounds: int) -> None:
    """`rounds` times eight callers at once, each ending in its own way."""
    for _ in range(rounds):
        connections = [stack.connect() for _ in RUDE]
        for connection, act in zip(connections, chosen.sample(RUDE, len(RUDE)), strict=True):
            act(connection)
        for connection in connections:
            (reset if chosen.random() < 0.5 else socket.socket.close)(connection)
        assert stack.post("good").status_code == 200


def held(stack) -> list[tuple[int, int]]:
    """Descriptors and threads of gateway and worker, once all callers are gone."""
    wait_until(lambda: in_flight(stack) == 0, "calls were left behind")
    processes = [psutil.Process(pid) for pid in (stack.gateway.pid, *stack.worker_pids())]
    found: list[tuple[int, int]] = []

    def is_still() -> bool:
        former = list(found)
        found[:] = [(process.num_fds(), process.num_threads()) for process in processes]
        return found == former

    wait_until(is_still, "descriptors come and go without callers")
    return found


def test_callers_who_reset_a_kept_alive_connection_leave_no_memory_behind(own_stack) -> None:
    """Each left its connection in a timer for as long as it might have been kept alive: 9 kB a caller."""
    own_stack.add_model("m:1")
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")
    gateway = psutil.Process(own_stack.gateway.pid)

    def call_and_reset(times: int) -> int:
        for _ in range(times):
            connection = own_stack.connect()
            good_call(connection)
            reset(connection)
        held(own_stack)
        return int(gateway.memory_full_info().uss)

    before = call_and_reset(200)
    assert call_and_reset(1500) - before < 5 * 2**20


def soak(stack, rounds: int) -> None:
    stack.add_model("m:1")
    stack.wait_state(stack.deploy("m:1"), "ready")
    chosen = random.Random(5)
    misbehave(stack, chosen, rounds // 2)
    base, pids = held(stack), [stack.gateway.pid, *stack.worker_pids()]
    memory = [psutil.Process(pid).memory_info().rss for pid in pids]
    misbehave(stack, chosen, rounds)
    assert held(stack) == base
    assert [stack.gateway.pid, *stack.worker_pids()] == pids, "a process was replaced"
    for pid, before in zip(pids, memory, strict=True):
        assert psutil.Process(pid).memory_info().rss - before < 5 * 2**20
    values = stack.worker_values()
    assert (values["hanlin_worker_inflight_calls"], values["hanlin_worker_queued_tokens"]) == (0, 0)
    assert stack.gateway_log.read_text() == ""


def test_c073_crashing_callers_leave_descriptors_and_memory_as_they_were(own_stack) -> None:
    soak(own_stack, 60)


@pytest.mark.soak
def test_c073_crashing_callers_for_long(own_stack) -> None:
    soak(own_stack, 6000)
