"""Bytes from any place on, and forms that are none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from starlette.requests import Request

from hanlin.errors import DataCorrupt, InvalidInput
from hanlin.gateway.downloads import send
from hanlin.gateway.multipart import read_form
from hanlin.storage.blobs import digest_bytes, verifying
from hanlin.types import Digest

CONTENT = bytes(range(256)) * 16


def request(body: bytes = b"", pieces: int = 1, **headers: str) -> Request:
    size = max(1, -(-len(body) // pieces))
    parts = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    messages = [{"type": "http.request", "body": part, "more_body": index < len(parts) - 1} for index, part in enumerate(parts)]

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


async def fetch(header: str, digest: Digest | None = None) -> tuple[int, str, bytes]:
    stream = verifying(io.BytesIO(CONTENT), digest or digest_bytes(CONTENT))
    answer = send(request(range=header), stream, len(CONTENT))
    body = b"".join([part async for part in answer.body_iterator])  # type: ignore[misc]
    assert answer.headers["content-length"] == str(len(body))
    return answer.status_code, answer.headers.get("content-range", ""), body


@pytest.mark.parametrize(
    ("header", "first", "last"), [("bytes=0-", 0, 4095), ("bytes=1000-", 1000, 4095), ("bytes=10-19", 10, 19), ("bytes=-100", 3996, 4095)]
)
async def test_a_range_is_that_part_of_the_whole(header: str, first: int, last: int) -> None:
    assert await fetch(header) == (206, f"bytes {first}-{last}/4096", CONTENT[first : last + 1])


@pytest.mark.parametrize("header", ["", "bytes=-", "bytes=5-2", "bytes=0-1,5-6", "lines=1-", "bytes=a-b", "bytes=" + "0-," * 10_000])
async def test_what_is_no_single_range_gets_the_whole(header: str) -> None:
    assert await fetch(header) == (200, "", CONTENT)


async def test_a_range_behind_the_end_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        await fetch("bytes=4096-")
    assert caught.value.code == "range_beyond_end"


async def test_damage_breaks_a_download_that_reaches_the_end() -> None:
    with pytest.raises(DataCorrupt):
        await fetch("bytes=4000-", digest_bytes(b"other"))


def form(*parts: tuple[str, bytes], end: bytes = b"--B--\r\n") -> bytes:
    heads = (b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value) for name, value in parts)
    return b"".join(heads) + end


FILE = ('file"; filename="a.jsonl', b"line\r\n--Bx\r\nmore")


@pytest.mark.parametrize("pieces", [1, 7, 1000])
async def test_a_form_arrives_whole_however_it_is_cut(tmp_path: Path, pieces: int) -> None:
    body = form(("purpose", b"batch"), FILE)
    found = await read_form(request(body, pieces, content_type="multipart/form-data; boundary=B"), tmp_path, limit=100)
    assert (found.fields, found.file_field, found.file_name) == ({"purpose": "batch"}, "file", "a.jsonl")
    assert found.path.read_bytes() == FILE[1]
    found.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (form(FILE), "application/json", "wrong_form"),
        (form(FILE), "multipart/form-data", "wrong_form"),
        (b"nonsense", "multipart/form-data; boundary=B", "wrong_form"),
        (form(FILE, end=b""), "multipart/form-data; boundary=B", "wrong_form"),
        (form(FILE, FILE), "multipart/form-data; boundary=B", "wrong_form"),
        (form(("a", b"1"), ("a", b"2"), FILE), "multipart/form-data; boundary=B", "wrong_form"),
        (form(("a", b"x" * 5000), FILE), "multipart/form-data; boundary=B", "wrong_form"),
        (form(('file"; filename="a', b"x" * 101)), "multipart/form-data; boundary=B", "batch_file_too_large"),
        (form(FILE) + b"z" * 70_000, "multipart/form-data; boundary=B", "wrong_form"),  # it need not end behind its end
        (form(("a", b"\xff"), FILE), "multipart/form-data; boundary=B", "invalid_parameter"),
    ],
)
async def test_what_is_no_form_leaves_no_file(tmp_path: Path, body: bytes, kind: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await read_form(request(body, content_type=kind), tmp_path, limit=100)
    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []
