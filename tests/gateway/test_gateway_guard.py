"""The strict reading of HTTP in front of the parser, as bytes in and pieces out."""

from __future__ import annotations

import pytest

from hanlin.gateway.http_guard import Guard, Refused

MANY = b" " * 500_000
LINE = b"POST /models/m HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (b"host: a" + MANY + b"b\r\n", "malformed_head"),
        (b"host: a\r\ncontent-length: 1" + MANY + b"1\r\n", "ambiguous_framing"),
        (b"host: a\r\ntransfer-encoding: chunked" + MANY + b"x\r\n", "transfer_coding_unknown"),
    ],
)
def test_a_value_full_of_space_is_read_once(headers: bytes, code: str) -> None:
    # Not timed: a pattern that looks for the end of the value anew at each space takes minutes.
    with pytest.raises(Refused) as refused:
        Guard(10**6).feed(LINE + headers + b"\r\n")
    assert refused.value.code == code


@pytest.mark.parametrize("name", [b"Authorization", b"content-type", b"X-Timeout-S", b"x-request-id", b"x-api-key"])
def test_what_may_stand_once_is_refused_twice(name: bytes) -> None:
    guard, line = Guard(1000), b"\r\n" + name + b": a"
    assert len(guard.feed(LINE + b"host: a" + line + b"\r\n\r\n")) == 1
    with pytest.raises(Refused) as refused:
        guard.feed(LINE + b"host: a" + line + b"\r\naccept: b" + line.upper() + b"\r\n\r\n")
    assert refused.value.code == "header_twice"


def test_space_around_a_value_is_none_of_it() -> None:
    guard = Guard(10**6)
    head = LINE + b"Host:a\t \r\nContent-Length: \t2" + MANY + b"\r\n\r\n"
    assert guard.feed(head + b"{}") == [head, b"{}"]
    assert not guard.is_in_body


def test_it_tells_whether_a_body_belongs_to_the_last_head() -> None:
    guard = Guard(1000)
    plain, long, chunked = (
        LINE + b"host: a" + line + b"\r\n\r\n" for line in (b"", b"\r\ncontent-length: 2", b"\r\ntransfer-encoding: chunked")
    )
    for head, body, has_body in ((long, b"{}", True), (plain, b"", False), (chunked, b"0\r\n\r\n", True), (plain, plain, False)):
        assert len(guard.feed(head + body)) == (2 if body else 1)
        assert guard.has_body is has_body
