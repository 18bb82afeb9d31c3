"""A form is read as it was sent, or refused without leaving a file."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from starlette.requests import Request

from hanlin.errors import HanlinError, NotReady
from hanlin.gateway.multipart import read_form

CONTENT = bytes(range(256)) * 16


def request(*parts: bytes) -> Request:
    lines = [b"--line\r\ncontent-disposition: form-data; name=" + part + b"\r\n" for part in parts]
    body = b"".join(lines) + b"--line--\r\n"
    messages = [{"type": "http.request", "body": body[place : place + 100], "more_body": True} for place in range(0, len(body), 100)]

    async def receive() -> dict[str, object]:
        return messages.pop(0) if messages else {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"content-type", b"multipart/form-data; boundary=line")]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


def file(content: bytes = CONTENT) -> bytes:
    return b'"file"; filename="a.jsonl"\r\n\r\n' + content


async def test_file_and_fields_are_what_was_sent(tmp_path: Path) -> None:
    form = await read_form(request(file(), b'"purpose"\r\n\r\nbatch'), tmp_path, limit=len(CONTENT))
    assert (form.path.read_bytes(), form.file_name, form.fields) == (CONTENT, "a.jsonl", {"purpose": "batch"})
    form.close()
    assert not [*tmp_path.iterdir()]


async def test_a_disk_that_takes_half_a_piece_is_full(tmp_path: Path) -> None:
    """Bug: the other half was lost, and the file kept without it."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) // 2, former[1]))  # a write across it is cut short, as on a full disk
    try:
        with pytest.raises(NotReady) as caught:
            await read_form(request(file()), tmp_path, limit=len(CONTENT))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert caught.value.code == "storage_full"
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ((file(CONTENT + b"x"),), "batch_file_too_large"),
        ((file(), file()), "wrong_form"),
        ((b'"a"\r\n\r\n' + CONTENT + b"x",), "wrong_form"),
        ((b'"a"\r\n\r\n1', b'"a"\r\n\r\n2'), "wrong_form"),
        ((b'"a"\r\n\r\n\xff',), "invalid_parameter"),
    ],
)
async def test_a_form_that_is_refused_leaves_no_file(tmp_path: Path, parts: tuple[bytes, ...], code: str) -> None:
    with pytest.raises(HanlinError) as caught:
        await read_form(request(*parts), tmp_path, limit=len(CONTENT))
    assert caught.value.code == code
    assert not [*tmp_path.iterdir()]
