"""What dies, and what callers notice: workers, the reconciler, the gateway; drains, switches, hang-ups."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.e2e


def call_until(stack, over: threading.Event, begun: threading.Semaphore) -> list[tuple[int, str]]:
    """Calls one after another until `over`, `begun` once the first was answered; statuses and versions."""
    found = []
    with httpx.Client(base_url=stack.url, headers={"authorization": "Bearer hl_app"}, timeout=30) as client:
        while not over.is_set():
            answer = client.post("/models/sentiment", json={"inputs": "good bad"})
            found.append((answer.status_code, answer.headers.get("x-hanlin-model", answer.text)))
            if len(found) == 1:
                begun.release()
    return found


def under_load(stack, act, *, callers: int = 6) -> list[tuple[int, str]]:
    over, begun = threading.Event(), threading.Semaphore(0)
    with concurrent.futures.ThreadPoolExecutor(callers) as pool:
        futures = [pool.submit(call_until, stack, over, begun) for _ in range(callers)]
        try:
            for _ in range(callers):
                assert begun.acquire(timeout=30), "a caller got no answer"
            act()
        finally:
            over.set()
        return [entry for future in futures for entry in future.result()]


def until(stack, **values: float) -> None:
    """The one worker tells these values."""
    wanted = {f"hanlin_worker_{name}": value for name, value in values.items()}.items()
    end_s = time.monotonic() + 30
    while not wanted <= stack.worker_values().items():
        assert time.monotonic() < end_s, stack.worker_values()
        time.sleep(0.01)


def kill_workers(stack, times: int, pause_s: float) -> None:
    for _ in range(times):
        for _ in range(500):
            if pids := stack.worker_pids():
                break
            time.sleep(0.02)
        os.kill(pids[0], signal.SIGKILL)
        time.sleep(pause_s)


def test_workers_killed_under_load_cost_no_call(own_stack) -> None:
    own_stack.add_model("m:1", step_ms=2)
    own_stack.wait_state(own_stack.deploy("m:1", replicas=2), "ready")
    answers = under_load(own_stack, lambda: kill_workers(own_stack, 5, 0.6))
    assert len(answers) > 50
    assert [answer for answer in answers if answer[0] != 200] == []


@pytest.mark.soak
def test_workers_killed_twenty_times_under_load_cost_no_call(own_stack) -> None:
    own_stack.add_model("m:1", step_ms=2)
    own_stack.wait_state(own_stack.deploy("m:1", replicas=2), "ready")
    answers = under_load(own_stack, lambda: kill_workers(own_stack, 20, 1.5))
    assert [answer for answer in answers if answer[0] != 200] == []


def test_version_switch_and_failing_version(own_stack) -> None:
    own_stack.add_model("m:1", step_ms=2)
    own_stack.add_model("m:2", step_ms=2)
    own_stack.add_model("m:3", fail_load=True)
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")

    def act() -> None:
        own_stack.wait_state(own_stack.deploy("m:2"), "ready")
        time.sleep(0.5)
        state = own_stack.wait_state(own_stack.deploy("m:3"), "failed")
        assert "told to fail" in str(state[2])

    answers = under_load(own_stack, act, callers=4)
    assert {status for status, _ in answers} == {200}
    assert {version for _, version in answers} == {"m:1 fake-fp32", "m:2 fake-fp32"}
    assert own_stack.post("good").headers["x-hanlin-model"] == "m:2 fake-fp32"


def test_reconciler_killed_workers_go_and_calls_wait_for_the_next_one(own_stack) -> None:
    own_stack.add_model("m:1")
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")
    assert own_stack.post("good").status_code == 200
    pids = own_stack.worker_pids()
    own_stack.reconciler.kill()
    own_stack.reconciler.wait()
    for _ in range(100):
        if not any(is_alive(pid) for pid in pids):
            break
        time.sleep(0.1)
    assert not any(is_alive(pid) for pid in pids)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(own_stack.post, "good") for _ in range(4)]
        time.sleep(0.3)
        assert not any(future.done() for future in waiting)
        own_stack.start_reconciler()
        assert [future.result().status_code for future in waiting] == [200] * 4


def test_no_replica_in_time_is_503_with_a_time(own_stack) -> None:
    own_stack.add_model("m:1", load_ms=60_000)
    own_stack.deploy("m:1")
    for _ in range(100):
        answer = own_stack.post("good", headers={"x-timeout-s": "0.3"})
        if answer.status_code != 404:
            break
        time.sleep(0.05)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "endpoint_starting")
    assert int(answer.headers["retry-after"]) >= 1


def test_removed_endpoint_is_gone_and_calls_in_flight_end(own_stack) -> None:
    own_stack.add_model("m:1", step_ms=1000)
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")
    assert own_stack.post("good").status_code == 200
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        flying = pool.submit(own_stack.post, "good")
        until(own_stack, inflight_calls=1)
        (own_stack.home / "desired.json").write_text("[]")
        assert flying.result().status_code == 200
    for _ in range(100):
        if own_stack.post("good").status_code == 404:
            break
        time.sleep(0.05)
    assert own_stack.post("good").status_code == 404
    for _ in range(100):
        if not own_stack.worker_pids():
            break
        time.sleep(0.05)
    assert own_stack.worker_pids() == []


def test_deadline_in_the_queue(own_stack) -> None:
    own_stack.add_model("m:1", step_ms=2000)
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        flying = pool.submit(own_stack.post, "good")
        until(own_stack, inflight_calls=1, queued_tokens=0)
        answer = own_stack.post("bad", headers={"x-timeout-s": "0.1"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
        assert not flying.done(), "the refusal must not wait for the step"
        assert flying.result().status_code == 200


def test_hang_up_drops_queued_work(own_stack) -> None:
    own_stack.add_model("m:1", step_ms=2000)
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")
    assert own_stack.post("good").status_code == 200
    body = b'{"inputs": "bad"}'
    head = b"POST /models/sentiment HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hl_app\r\nContent-Type: application/json\r\n"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        flying = pool.submit(own_stack.post, "good")
        until(own_stack, inflight_calls=1, queued_tokens=0)
        gone = [socket.create_connection(("127.0.0.1", own_stack.port)) for _ in range(5)]
        for connection in gone:
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        until(own_stack, queued_calls=5)
        for connection in gone:
            connection.close()
        assert flying.result().status_code == 200
    values = own_stack.worker_values()
    assert values["hanlin_worker_cancelled_total"] == 5
    assert values["hanlin_worker_rows_total"] == 2
    assert values["hanlin_worker_queued_tokens"] == 0
    metrics = own_stack.client.get("/metrics").text
    assert 'gateway="0",method="POST",route="/models/{endpoint}",status="499"} 5.0' in metrics
    assert 'hanlin_requests_in_flight{gateway="0"} 1.0' in metrics


def test_sigterm_drains(own_stack) -> None:
    own_stack.add_model("m:1", step_ms=1000)
    own_stack.wait_state(own_stack.deploy("m:1"), "ready")
    assert own_stack.post("good").status_code == 200
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        flying = [pool.submit(post_anew, own_stack) for _ in range(8)]
        until(own_stack, inflight_calls=8)
        own_stack.gateway.send_signal(signal.SIGTERM)
        while (told := own_stack.client.get("/readyz").status_code) == 200:
            time.sleep(0.005)
        assert told == 503
        own_stack.gateway.send_signal(signal.SIGTERM)
        assert [future.result().status_code for future in flying] == [200] * 8
    assert own_stack.gateway.wait(8) == 0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:  # the socket lives on: a call made now waits for the next gateway
        waiting = pool.submit(httpx.get, own_stack.url + "/healthz", timeout=20)
        own_stack.start_gateway()
        assert waiting.result().status_code == 200


def test_sigterm_with_a_call_longer_than_the_limit(own_stack) -> None:
    own_stack.add_model("m:1", load_ms=15_000)
    own_stack.deploy("m:1")
    while own_stack.client.get("/readyz").status_code != 200:
        time.sleep(0.05)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        flying = pool.submit(post_anew, own_stack)
        time.sleep(0.5)
        own_stack.gateway.send_signal(signal.SIGTERM)
        assert own_stack.gateway.wait(8) == 0
        with contextlib.suppress(httpx.TransportError):
            assert flying.result().status_code in (404, 500, 503)
    own_stack.reconciler.kill()


def test_gateway_is_light(stack) -> None:
    status = Path(f"/proc/{stack.gateway.pid}/status").read_text()
    assert int(status.split("VmRSS:")[1].split()[0]) < 150 * 1024
    maps = Path(f"/proc/{stack.gateway.pid}/maps").read_text()
    heavy = ("torch", "transformers", "pyarrow", "pandas", "onnxruntime", "onnx", "openvino", "tokenizers", "numpy")
    assert [name for name in heavy if f"/{name}/" in maps] == []


def post_anew(stack) -> httpx.Response:
    """A call on a connection of its own."""
    headers = {"authorization": "Bearer hl_app"}
    return httpx.post(stack.url + "/models/sentiment", json={"inputs": "good"}, timeout=20, headers=headers)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_routes_file_is_private(stack) -> None:
    path = stack.home / "run" / "routes.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "default/sentiment" in json.loads(path.read_text())["endpoints"]
