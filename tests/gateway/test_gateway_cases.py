"""Rows of docs/bad-input.md that no other module has: what is hidden, packed, or leads outside."""

from __future__ import annotations

import gzip
import re

import pytest
from tests.gateway.test_gateway_front import AUTH, CHUNKED, HEAD, HIDDEN, num_answers, rss_bytes, status

pytestmark = pytest.mark.e2e
COUNTED = re.compile(r'hanlin_requests_total{[^}]*method="GET",route="/healthz"[^}]*} ([0-9.]+)')


def counted(stack) -> float:
    return sum(float(value) for value in COUNTED.findall(stack.client.get("/metrics").text))


@pytest.mark.parametrize("framing", [b"Content-Length: 6\r\n" + CHUNKED, b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n"])
def test_c001_a_hidden_request_is_neither_answered_nor_counted(whole, framing: bytes) -> None:
    whole.client.get("/healthz")
    before = counted(whole)
    assert before >= 1
    assert num_answers(whole.raw(HEAD + framing + b"0\r\n\r\n" + HIDDEN)) == 1
    assert counted(whole) == before


def test_c010_a_body_that_unpacks_to_a_thousand_times_is_not_unpacked(whole) -> None:
    bomb = gzip.compress(b'{"inputs": "' + b" " * 50_000_000 + b'good"}')
    before = rss_bytes(whole)
    for encoding in ("gzip", "deflate", "br", "zstd", "gzip, gzip"):
        answer = whole.client.post(
            "/models/sentiment", content=bomb, headers={"content-type": "application/json", "content-encoding": encoding}
        )  # fmt: skip
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "content_encoding_not_taken")
    assert rss_bytes(whole) - before < 8 * 2**20


FOLDERS = ("/api/v1/blobs/", "/v1/files/", "/api/v1/models/mood/versions/1/pictures/", "/docs/", "/api/v1/jobs/")
OUTSIDE = (
    "../../../../etc/passwd", "%2e%2e%2f%2e%2e%2fetc/passwd", "%252e%252e%252fetc%252fpasswd", "..%2f..%2fetc%2fpasswd",
    "\\..\\..\\etc\\passwd",
    "/etc/passwd", "%2fetc%2fpasswd", "x%00.txt", "owner.key", "..;/owner.key", "file:///etc/passwd",
)  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS)
def test_c015_nothing_that_is_served_leads_outside(whole, folder: str) -> None:
    auth = b"Authorization: %s\r\n" % whole.client.headers["authorization"].encode()
    for name in OUTSIDE:
        for tail in ("", "/content"):
            target = (folder + name + tail).encode()
            said = whole.raw(b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n" % (target, auth))
            assert status(said) in (400, 404, 422), (target, said[:200])
            assert b"root:" not in said
            assert b"hl_" not in said


def test_c019_what_callers_send_makes_no_header_of_ours(whole) -> None:
    for raw in (b"a\r\nX-Evil: 1", b"a\nX-Evil: 1", b"\xc3\xa9" * 10, b"a" * 200):
        said = whole.raw(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-Id: %s\r\n\r\n" % raw)
        head = said.partition(b"\r\n\r\n")[0].lower()
        assert b"x-evil" not in head
        assert raw.lower() not in head
    name = 'filename="a\\r\\nX-Evil: 1\r\n<b>.jsonl"'
    form = f'--b\r\ncontent-disposition: form-data; name="file"; {name}\r\n\r\n{{}}\r\n--b--\r\n'.encode()
    answer = whole.client.post("/v1/files", content=form, headers={"content-type": "multipart/form-data; boundary=b"})
    assert answer.status_code in (400, 422)
    assert "x-evil" not in answer.headers
    assert AUTH not in answer.content
