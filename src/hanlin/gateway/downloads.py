"""Stored bytes as an answer: verified, streamed, and from any byte on (`Range: bytes=FIRST-LAST`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from fastapi.responses import StreamingResponse
from starlette.requests import Request

from hanlin.errors import InvalidInput

_PIECE_BYTES = 2**20
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")


def send(
    request: Request, stream: BinaryIO, size_bytes: int, *, name: str = "", kind: str = "application/octet-stream"
) -> StreamingResponse:
    """The answer. Damage is noticed while reading: then the answer breaks off instead of ending well.

    Source: RFC 9110, 14. Several ranges at once, or other units, are answered with the whole, which it allows.

    Raises:
        InvalidInput: `range_beyond_end`.
    """
    shown = f'attachment; filename="{name}"' if name else "attachment"
    headers = {"x-content-type-options": "nosniff", "content-disposition": shown, "accept-ranges": "bytes"}
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or found[0] == "bytes=-" or (found[1] and found[2] and int(found[1]) > int(found[2])):
        return StreamingResponse(_pieces(stream, 0, size_bytes), media_type=kind, headers=headers | {"content-length": str(size_bytes)})
    if found[1]:
        first, last = int(found[1]), min(int(found[2]), size_bytes - 1) if found[2] else size_bytes - 1
    else:
        first, last = max(0, size_bytes - int(found[2])), size_bytes - 1
    if first > last:
        stream.close()
        raise InvalidInput("range_beyond_end", size_bytes=size_bytes)
    headers |= {"content-length": str(last - first + 1), "content-range": f"bytes {first}-{last}/{size_bytes}"}
    return StreamingResponse(_pieces(stream, first, last - first + 1), status_code=206, media_type=kind, headers=headers)


def _pieces(stream: BinaryIO, skip: int, count: int) -> Iterator[bytes]:
    """What is skipped is read too, so that the whole is verified where its end is asked for."""
    with stream:
        while skip and (piece := stream.read(min(_PIECE_BYTES, skip))):
            skip -= len(piece)
        while count and (piece := stream.read(min(_PIECE_BYTES, count))):
            count -= len(piece)
            if not count:
                stream.read(1)  # the end of the file, if this is it: there the digest is compared
            yield piece
