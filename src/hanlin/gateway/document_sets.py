"""Sets of documents that a team keeps as files, for questions about them: named by id in a call, read here, sent to workers as if the
caller had sent them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Annotated

import msgspec

from hanlin.errors import InvalidInput
from hanlin.gateway.ports import DocumentFiles
from hanlin.passages import MAX_DOCUMENTS
from hanlin.types import JsonObject, JsonValue, Principal

MAX_SET_BYTES = 4 * 2**20
_MAX_KEPT = 8  # sets in memory, each about twice its file
_Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # as workers can be told of


class DocumentSets:
    """Belongs to one event loop; reads beside it. A file never changes, so what was read stays right; whose it is, is asked anew."""

    def __init__(self, files: DocumentFiles) -> None:
        self._files = files
        self._kept: OrderedDict[str, list[JsonValue]] = OrderedDict()  # by digest

    async def filled(self, principal: Principal, inputs: JsonValue) -> JsonValue:
        """The inputs with the documents of the set that they name; others as they are.

        Raises:
            NotFound: no such file of the caller's team, or one of another purpose.
            InvalidInput: `document_set_too_large`, `document_set_unreadable`.
        """
        if not isinstance(inputs, dict) or not isinstance(name := inputs.get("documents"), str):
            return inputs
        digest, size_bytes = await asyncio.to_thread(self._files.find, principal, name)
        if size_bytes > MAX_SET_BYTES:
            raise InvalidInput("document_set_too_large", size_bytes=size_bytes, limit=MAX_SET_BYTES)
        if (found := self._kept.get(digest)) is None:
            found = self._kept[digest] = await asyncio.to_thread(self._read, digest)
        self._kept.move_to_end(digest)
        if len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        filled: JsonObject = {**inputs, "documents": found}
        return filled

    def _read(self, digest: str) -> list[JsonValue]:
        return read_lines(self._files.read(digest))


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    id: str | _Number | msgspec.UnsetType = msgspec.UNSET
    start: _Number | msgspec.UnsetType = msgspec.UNSET


_decoder = msgspec.json.Decoder(str | _Document)


def read_lines(content: bytes) -> list[JsonValue]:
    """The documents of a file, one a line: a text, or an object of `text` and perhaps `id` and `start`, whose bounds the reader judges.

    Raises:
        InvalidInput: `document_set_unreadable`; `batch_too_large` before so many small ones take up memory.
    """
    lines = [(number, line) for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), 1) if line.strip()]
    if len(lines) > MAX_DOCUMENTS:
        raise InvalidInput("batch_too_large", items=len(lines), limit=MAX_DOCUMENTS)
    found: list[JsonValue] = []
    for number, line in lines:
        try:
            found.append(msgspec.to_builtins(_decoder.decode(line)))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise InvalidInput("document_set_unreadable", line=number) from error
    return found
