"""The HTTP front against raw sockets: framing, sizes, slowness, methods, paths. A real server process."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

AUTH = b"Authorization: Bearer hl_app\r\n"
HEAD = b"POST /models/sentiment HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + AUTH
BODY = b'{"inputs": "good"}'
HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def status(said: bytes) -> int:
    return int(said[9:12]) if said.startswith(b"HTTP/1.1 ") else 0


def num_answers(said: bytes) -> int:
    return len(re.findall(rb"HTTP/1\.1 [2-5]\d\d", said))


@pytest.mark.parametrize(
    ("name", "request_bytes", "expected"),
    [
        ("length and chunked", HEAD + b"Content-Length: 6\r\n" + CHUNKED + b"0\r\n\r\n" + HIDDEN, 400),
        ("chunked and length", HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + HIDDEN, 400),
        ("two lengths", HEAD + b"Content-Length: 18\r\nContent-Length: 17\r\n\r\n" + BODY, 400),
        ("two equal lengths", HEAD + b"Content-Length: 18\r\nContent-Length: 18\r\n\r\n" + BODY, 400),
        ("negative length", HEAD + b"Content-Length: -1\r\n\r\n" + BODY, 400),
        ("signed length", HEAD + b"Content-Length: +5\r\n\r\n" + BODY, 400),
        ("list of lengths", HEAD + b"Content-Length: 18, 18\r\n\r\n" + BODY, 400),
        ("gzip, chunked", HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        ("xchunked", HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        ("two codings", HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        ("space before colon", HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        ("folded header", HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
        ("tab in coding", HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
        ("chunked in 1.0", HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKED + b"0\r\n\r\n", 400),
        ("bare LF", HEAD.replace(b"\r\n", b"\n") + b"Content-Length: 18\r\n\r\n" + BODY, 400),
        ("bare CR", HEAD + b"X: a\rContent-Length: 3\r\n\r\n", 400),
        ("NUL in header", HEAD + b"X: a\x00b\r\n\r\n", 400),
        ("hex size", HEAD + CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", 400),
        ("wrong terminator", HEAD + CHUNKED + b"5\r\nhelloXX0\r\n\r\n", 400),
        ("chunk extension", HEAD + CHUNKED + b"5;a=b\r\nhello\r\n0\r\n\r\n", 400),
        ("trailer", HEAD + CHUNKED + b"0\r\nX: y\r\n\r\n", 400),
        ("huge chunk size", HEAD + CHUNKED + b"fffffffff\r\n", 400),
        ("no host", b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        ("two hosts", b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("host with path", b"GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("no version", b"GET /healthz\r\n\r\n", 400),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("two spaces", b"GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        ("100 KB header", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 431),
        ("many headers", b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        ("tiny chunks", HEAD + CHUNKED + b"1\r\na\r\n" * 5000, 400),
    ],
)  # fmt: skip
def test_malformed_request_is_refused_and_the_connection_ends(stack, name: str, request_bytes: bytes, expected: int) -> None:
    said = stack.raw(request_bytes)
    assert status(said) == expected, said[:300]
    assert num_answers(said) == 1, "a hidden request was served"
    assert b'"request_id"' in said
    assert b"connection: close" in said
    assert stack.client.get("/healthz").status_code == 200


def test_refused_however_it_is_cut(stack) -> None:
    whole = HEAD + CHUNKED + b"5\r\nhelloXX0\r\n\r\n"
    for cut in range(len(whole) - 14, len(whole), 2):
        assert status(stack.raw(whole[:cut], whole[cut:])) == 400


def test_good_chunked_body_in_pieces(stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.port)) as connection:
        for byte in HEAD + b"Connection: close\r\n" + CHUNKED + b"8\r\n" + BODY[:8] + b"\r\na\r\n" + BODY[8:] + b"\r\n0\r\n\r\n":
            connection.sendall(bytes([byte]))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_pipelined_requests_are_answered_in_order(stack) -> None:
    one = HEAD + b"Content-Length: 18\r\n\r\n" + BODY
    said = stack.raw(one + HIDDEN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert num_answers(said) == 2
    assert said.index(b"label") < said.index(b'"status"')


def test_20_mb_header_costs_no_memory(stack) -> None:
    before = rss_bytes(stack)
    for _ in range(3):
        assert status(stack.raw(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ", b"a" * 20_000_000)) == 431
    assert rss_bytes(stack) - before < 4 * 2**20


def test_million_tiny_chunks_cost_no_memory(stack) -> None:
    before = rss_bytes(stack)
    for _ in range(3):
        assert status(stack.raw(HEAD + CHUNKED, b"1\r\na\r\n" * 1_000_000)) == 400
    assert rss_bytes(stack) - before < 4 * 2**20


def test_body_limit_to_the_byte(stack) -> None:
    limit = 1_100_000
    for size, expected in ((limit, 200), (limit + 1, 413)):
        body = b'{"inputs": "good"' + b" " * (size - 18) + b"}"
        answer = stack.client.post("/models/sentiment", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == expected, answer.text
        pieces = [b"%x\r\n" % len(part) + part + b"\r\n" for part in (body[:500_000], body[500_000:])]
        assert status(stack.raw(HEAD + b"Connection: close\r\n" + CHUNKED, *pieces, b"0\r\n\r\n")) == expected


def test_too_large_is_said_before_the_body_is_read_and_without_100(stack) -> None:
    head = HEAD + b"Content-Length: 9000000\r\nExpect: 100-continue\r\n\r\n"
    said = stack.raw(head)
    assert status(said) == 413
    assert b"100 Continue" not in said
    assert stack.raw(HEAD + b"Connection: close\r\nContent-Length: 18\r\nExpect: 100-continue\r\n\r\n" + BODY).startswith(b"HTTP/1.1 100")


def test_refusal_reaches_a_caller_who_keeps_sending(stack) -> None:
    said = stack.raw(HEAD + b"Content-Length: 9000000\r\n\r\n", b"x" * 9_000_000)
    assert status(said) == 413
    assert b"body_too_large" in said


@pytest.mark.parametrize(
    "start", [b"", b"GET / HT", HEAD[:-2], HEAD + b"Content-Length: 18\r\n\r\n" + BODY[:5], HEAD + CHUNKED + b"5\r\nhe"]
)
def test_slow_sender_is_cut_off(stack, start: bytes) -> None:
    begun_s = time.monotonic()
    said = stack.raw(start, timeout_s=10)
    assert time.monotonic() - begun_s < 8
    assert status(said) in ((408,) if start else (0, 408))


def test_one_byte_now_and_then_does_not_renew_the_time(stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.port)) as connection:
        begun_s = time.monotonic()
        said = b""
        connection.settimeout(0.3)
        for byte in HEAD * 10:
            try:
                connection.sendall(bytes([byte]))
                said = connection.recv(4096)
                break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() - begun_s < 5
        assert status(said) in (0, 408)


def test_many_slow_senders_leave_the_rest_alone(stack) -> None:
    slow = [socket.create_connection(("127.0.0.1", stack.port)) for _ in range(200)]
    for connection in slow:
        connection.sendall(b"POST /models/sentiment HTTP/1.1\r\nHost:")
    assert all(stack.post("good").status_code == 200 for _ in range(20))
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "FOO", "PROPFIND", "get", "G\x7fT"])
@pytest.mark.parametrize("target", ["/", "/models/sentiment", "/healthz", "/nothing"])
def test_strange_methods(stack, method: str, target: str) -> None:
    said = stack.raw(f"{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert status(said) in (400, 404, 405)
    if status(said) == 405:
        assert b"\r\nallow: " in said


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/models/sentiment"), ("POST", "/healthz"), ("PUT", "/metrics")])
def test_wrong_method_names_the_right_ones(stack, method: str, path: str) -> None:
    answer = stack.client.request(method, path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
    assert answer.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path",
    ["/a/%2e%2e/etc/passwd", "/%252e%252e/x", "/a%00b", "/a\\..\\b", "//etc/passwd", "/docs/../../etc",
        "/models/..", "/models/%2e", "/models/a/b", "/x;y", "/%ff%fe"],
)  # fmt: skip
def test_strange_paths_are_not_found(stack, path: str) -> None:
    said = stack.raw(b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n" % (path.encode(), AUTH))
    assert status(said) in (400, 404), said[:200]
    assert b"root:" not in said


def test_hostile_request_id_is_replaced(stack) -> None:
    answer = stack.client.get("/healthz", headers={"x-request-id": "<script>alert(1)</script>"})
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
    assert stack.client.get("/healthz", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"


def test_upgrade_is_ignored(stack) -> None:
    said = stack.raw(
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
    )
    assert status(said) == 200


def rss_bytes(stack) -> int:
    pages = int(Path(f"/proc/{stack.gateway.pid}/statm").read_text().split()[1])
    return pages * 4096
