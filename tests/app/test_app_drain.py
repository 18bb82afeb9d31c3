"""C066, C067: SIGTERM while fifty streams are open and fifty calls are queued: each ends as it should, and so does the server."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

pytestmark = pytest.mark.e2e
MANY = 50


def test_fifty_streams_and_fifty_queued_calls_end_as_they_should(mortal, publish_fakes) -> None:
    server = mortal
    publish_fakes(server.home, {}, name="drained")
    try:
        with server.client() as client:
            client.deployments.wait(client.deployments.create("drained:1", "slow"))
            runner = server.find("hanlin runner")
            runner.send_signal(signal.SIGSTOP)  # the job shall still be there when the server is told to go
            job = client.jobs.submit("compress", {"model": "drained:1"}).id
        streams: list[str] = []
        with ThreadPoolExecutor(2 * MANY) as pool:
            listening = [pool.submit(listen, server, job, streams) for _ in range(MANY)]
            until(lambda: len(streams) == MANY)
            worker = server.find("hanlin worker slow")
            worker.send_signal(signal.SIGSTOP)  # nothing is answered before the server drains
            calling = [pool.submit(call, server, number) for number in range(MANY)]
            until(lambda: in_flight(server) >= 2 * MANY)
            runner.send_signal(signal.SIGCONT)
            server.process.send_signal(signal.SIGTERM)
            heard = [future.result() for future in listening]
            worker.send_signal(signal.SIGCONT)
            answers = [future.result() for future in calling]
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()[0]["score"] for answer in answers}) > 1, "to each its own"
        assert all(events[-1] == "error" and "end" not in events for events in heard), heard
        assert server.process.wait(90) == 0
    finally:
        if server.is_running:
            server.kill()
    server.start()
    with server.client() as client:
        assert client.jobs.get(job).state != "cancelled", "it goes on, or its own end is told"
        client.jobs.cancel(job)


def listen(server, job: str, begun: list[str]) -> list[str]:
    """The kinds of the events of a job, to the end of the stream, which must be a whole one."""
    text = ""
    with client_of(server) as client, client.stream("GET", f"/api/v1/jobs/{job}/events") as answer:
        begun.append(job)
        assert answer.status_code == 200
        for piece in answer.iter_text():
            text += piece
    assert text.endswith("\n\n")
    return re.findall(r"^event: (\w+)$", text, re.MULTILINE)


def call(server, number: int) -> httpx.Response:
    with client_of(server) as client:
        return client.post("/models/slow", json={"inputs": " ".join(f"w{digit}" for digit in str(number))})


def in_flight(server) -> float:
    with client_of(server) as client:
        found = re.search(r"^hanlin_requests_in_flight\{gateway=\"0\"\} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    assert found
    return float(found[1])


def client_of(server) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {server.key}"}, timeout=120, trust_env=False)


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline_s, "it never came to be"
        time.sleep(0.02)
