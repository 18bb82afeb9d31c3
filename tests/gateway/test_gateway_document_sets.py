"""Sets of documents that are kept as files: read once, whose they are asked each time, told what is wrong with them."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

from hanlin.errors import InvalidInput, NotFound
from hanlin.gateway.document_sets import MAX_SET_BYTES, DocumentSets, read_lines
from hanlin.gateway.ports import NoDocuments
from hanlin.passages import MAX_DOCUMENTS
from hanlin.types import KeyId, Principal, TeamId

ME = Principal(TeamId("default"), KeyId("app"), frozenset({"predict"}))


class Files:
    """Files in memory, which count how often they are read."""

    def __init__(self, **files: bytes) -> None:
        self._files = files
        self.reads = 0

    def find(self, principal: Principal, file_id: str) -> tuple[str, int]:
        if file_id not in self._files:
            raise NotFound("not_found", kind="file", name=file_id)
        content = self._files[file_id]
        return hashlib.sha256(content).hexdigest(), len(content)

    def read(self, digest: str) -> bytes:
        self.reads += 1
        return next(content for content in self._files.values() if hashlib.sha256(content).hexdigest() == digest)


def filled(sets: DocumentSets, documents: object) -> object:
    return asyncio.run(sets.filled(ME, {"question": "q", "documents": documents}))


def test_a_set_stands_where_its_name_stood_and_is_read_once() -> None:
    files = Files(a=b'"one"\r\n\n{"id": "x", "text": "two"}')
    sets = DocumentSets(files)
    for _ in range(3):
        assert filled(sets, "a") == {"question": "q", "documents": ["one", {"id": "x", "text": "two"}]}
    assert files.reads == 1
    assert filled(sets, ["one"]) == {"question": "q", "documents": ["one"]}
    assert asyncio.run(sets.filled(ME, "text")) == "text"


def test_only_so_many_are_kept() -> None:
    files = Files(**{f"f{number}": json.dumps(f"text {number}").encode() for number in range(12)})
    sets = DocumentSets(files)
    for number in range(12):
        filled(sets, f"f{number}")
    filled(sets, "f11")
    assert files.reads == 12
    filled(sets, "f0")
    assert files.reads == 13


@pytest.mark.parametrize(
    "content",
    [
        b'"one"\nplain', b"[1]", b"5", b'{"text": ', b"\xff\xfe", b"[" * 5000, b"{}", b'{"text": "a", "id": 1e999}',
        b'"one"\r\n\r\n{"text": "a", "id": 123456789012345678901}', b'{"text": "a", "more": [[]]}', b'{"text": "a", "start": true}',
        rb'"\ud800"', rb'{"text": "a", "id": "\udfff"}',
    ],
)  # fmt: skip
def test_what_is_no_document_is_named_by_its_line(content: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_lines(content)
    assert (caught.value.code, caught.value.params["line"]) == ("document_set_unreadable", content.count(b"\n") + 1)


@pytest.mark.parametrize("line", [b'"ab"', b'{"text":""}'])
def test_more_small_documents_than_are_asked_about_take_no_memory(line: bytes) -> None:
    """Bug: a file of 4 MB became a hundred that were kept."""
    content = (line + b"\n") * (MAX_DOCUMENTS + 1)
    with pytest.raises(InvalidInput) as caught:
        read_lines(content)
    assert (caught.value.code, caught.value.params) == ("batch_too_large", {"items": MAX_DOCUMENTS + 1, "limit": MAX_DOCUMENTS})
    assert len(read_lines(content.removesuffix(line + b"\n"))) == MAX_DOCUMENTS


def test_a_set_that_is_too_large_is_not_read() -> None:
    files = Files(big=b"x" * (MAX_SET_BYTES + 1))
    with pytest.raises(InvalidInput) as caught:
        filled(DocumentSets(files), "big")
    assert (caught.value.code, files.reads) == ("document_set_too_large", 0)


def test_what_is_not_kept_is_not_found() -> None:
    for files in (Files(), NoDocuments()):
        with pytest.raises(NotFound):
            filled(DocumentSets(files), "gone")
