"""C013, C014, C066, C067: streams over HTTP end exactly once, whoever fails, leaves, does not read or is shut down; accounts tell what was
sent. Real processes; the door is `telling.py`, the engine the fake one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time

import pytest
from tests.gateway.told_world import request, until

pytestmark = pytest.mark.e2e


def test_an_answer_is_told_in_parts_with_one_end(make_world) -> None:
    world = make_world()
    heard = world.ask(["w20 w21", "w30"], max_new_tokens=10)
    assert heard.status == 200
    assert heard.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (heard.headers["cache-control"], heard.headers["x-accel-buffering"]) == ("no-store", "no")
    assert (heard.headers["x-told-by"], heard.headers["transfer-encoding"]) == ("telling", "chunked")
    assert heard.headers["x-request-id"]
    assert heard.events[0] == "data: begin"
    assert heard.events[-1] == "data: [DONE]"
    assert heard.text.count("[DONE]") == 1
    assert [token for row, _, ids in heard.parts if row == 0 for token in ids] == [21, 20] * 5
    assert [token for row, _, ids in heard.parts if row == 1 for token in ids] == [30] * 10
    (record,) = world.accounts()
    assert (record["tokens"], record["written"], record["items"], record["is_cached"]) == (3, 20, 2, False)
    assert world.accounts("quota")[-1] == {"tokens": 23, "is_answered": True}
    assert world.ends() == {"done": 1}
    sent = request("w20 w21", max_new_tokens=3)
    old = world.stack.raw(sent.replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    head, _, events = old.partition(b"\r\n\r\n")
    assert (b"chunked" in head, b"connection: close" in head) == (False, True)
    assert events.startswith(b"data: begin\n\n")
    assert events.endswith(b"data: [DONE]\n\n")
    with world.stack.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        said = b""
        while part := connection.recv(65536):
            said += part
    assert b"data: [DONE]\n\n" in said
    assert said.endswith(b"\r\n0\r\n\r\n")


def test_what_fails_before_the_first_part_is_a_plain_error_and_afterwards_an_event(make_world) -> None:
    world = make_world()
    early = world.ask("w20", max_new_tokens=10**9)
    assert (early.status, early.headers["content-type"]) == (422, "application/json")
    assert json.loads(early.text)["error"]["code"] == "invalid_parameter"
    at_once = world.ask("w20 w21 fail", max_new_tokens=30)
    assert at_once.status == 500
    late = world.ask("fail w20 w21", max_new_tokens=30)
    assert late.status == 200
    assert late.error == "engine_step_failed"
    assert [ids for _, _, ids in late.parts] == [[21], [20]]
    assert [(each["written"], each.get("is_broken")) for each in world.accounts()] == [(2, True)]
    assert world.accounts("quota")[-1] == {"tokens": 2, "is_answered": False}
    tired = world.ask(timeout_s=0.4, max_new_tokens=3000)
    assert tired.error == "deadline_exceeded"
    with world.stack.connect() as connection:  # a stream that failed leaves the connection as good as any
        for text in ("fail w20", "w20 w21"):
            connection.sendall(request(text, max_new_tokens=3))
            said = b""
            while not said.endswith(b"0\r\n\r\n"):
                said += connection.recv(65536)
        assert b"[DONE]" in said


def test_a_worker_that_is_killed_amid_a_stream_costs_what_was_sent(make_world) -> None:
    world = make_world()
    with world.connect(max_new_tokens=3000) as connection:
        said = b""
        while said.count(b"data: 0") < 20:
            said += connection.recv(65536)
        for pid in world.stack.worker_pids():
            os.kill(pid, signal.SIGKILL)
        while not said.endswith(b"0\r\n\r\n"):
            said += connection.recv(65536)
    assert b"stream_broken" in said
    assert b"[DONE]" not in said
    (record,) = world.accounts()
    assert (record["written"], record["is_broken"]) == (said.count(b"data: 0"), True)
    until(lambda: world.ask(max_new_tokens=2).status == 200)


def test_a_caller_who_leaves_frees_the_place_within_a_second(make_world) -> None:
    world = make_world()
    connections = [world.connect(max_new_tokens=5000) for _ in range(8)]
    for connection in connections:  # who leaves before he was told anything owes nothing
        said = b""
        while b"data: 0" not in said:
            said += connection.recv(65536)
    assert world.open_rows == 8
    for number, connection in enumerate(connections):
        if number % 2:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.close()
    until(lambda: world.open_rows == 0, within_s=4.0)  # a second, and what a busy machine adds
    until(lambda: len(world.accounts()) == 8)
    assert all(record["is_broken"] for record in world.accounts())
    assert world.ends()["gone"] == 8
    assert world.ask(max_new_tokens=2).status == 200


def test_a_caller_who_does_not_read_is_given_up_and_told_why(make_world) -> None:
    world = make_world({"step_ms": 1}, stream_buffer_bytes=20_000, write_timeout_s=15.0)  # a busy machine looks late
    world.stack.narrow()
    with world.stack.connect() as reads_later, world.stack.connect() as never_reads:
        for connection in (reads_later, never_reads):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request(["w20 w21"] * 4, max_new_tokens=5000))
        until(lambda: world.open_rows == 8)
        until(lambda: world.open_rows == 0)
        assert world.ask("w30", max_new_tokens=2).status == 200, "others are served meanwhile"
        said = b""
        while not said.endswith(b"0\r\n\r\n"):
            said += reads_later.recv(65536)
        assert b"stream_too_slow" in said
        assert b"[DONE]" not in said
        until(lambda: world.ends().get("slow") == 2)
        never_reads.settimeout(30)
        with pytest.raises(ConnectionResetError):
            while never_reads.recv(1):
                pass
    assert sum(int(str(record["written"])) for record in world.accounts() if record.get("is_broken")) < 2 * 4 * 5000


def test_silence_is_broken_by_comments_also_before_the_first_part(make_world) -> None:
    world = make_world({"step_ms": 700}, stream_ping_s=0.2)
    heard = world.ask("w20 w21", max_new_tokens=2)
    blocks = [block for block in heard.text.split("\n\n") if block]
    first = next(number for number, block in enumerate(blocks) if block.startswith("data: 0"))
    assert blocks[0] == "data: begin"
    assert ": ping" in blocks[1:first]
    assert ": ping" in blocks[first:]
    assert heard.events[-1] == "data: [DONE]"


@pytest.mark.parametrize(("tokens", "is_whole"), [(150, True), (3000, False)])
def test_a_gateway_that_ends_waits_for_streams_up_to_its_limit(make_world, tokens: int, is_whole: bool) -> None:
    world = make_world(drain_timeout_s=3.0, pre_stop_s=0.1)
    with world.connect(max_new_tokens=tokens) as connection:
        said = connection.recv(65536)
        world.stack.gateway.send_signal(signal.SIGTERM)
        began_s = time.monotonic()
        while data := connection.recv(65536):
            said += data
        assert world.stack.gateway.wait(10) == 0
        assert time.monotonic() - began_s < 6
    assert said.endswith(b"0\r\n\r\n")
    assert (b"[DONE]" in said) is is_whole
    assert (b"stream_drained" in said) is not is_whole
    assert said.count(b"[DONE]") + said.count(b"event: error") == 1
