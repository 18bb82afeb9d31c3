"""`/api/v1/blobs/{sha256}`: resumable uploads and verified downloads, streamed in both directions.

HEAD  200 + Content-Length: stored · 308 + Upload-Offset: so much has arrived · 404
PUT   Content-Range: bytes FIRST-LAST/TOTAL → 308 + Range: go on · 201: stored, its digest checked
GET   the bytes, with `Range: bytes=FIRST-` from there on
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from hanlin.control import blobs
from hanlin.control.platform import Platform
from hanlin.errors import InvalidInput
from hanlin.gateway.control_api_routing import Caller, Routes
from hanlin.gateway.downloads import send
from hanlin.storage.uploads import UploadStatus
from hanlin.types import Principal

_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")
_PIECE_BYTES = 2**20
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_HALF = "So much has arrived"
_WHOLE = {"schema": {"type": "integer"}, "description": "bytes of the blob"}
_STATUS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Stored", "headers": {"Content-Length": _WHOLE}},
    308: {"description": _HALF, "headers": {"Upload-Offset": {"schema": {"type": "integer"}, "description": "bytes"}}},
}
_UPLOADED: dict[int | str, dict[str, Any]] = {
    201: {"description": "Stored; its digest is right"},
    308: {"description": _HALF, "headers": {"Range": {"schema": {"type": "string"}, "description": "bytes=0-LAST"}}},
}
_DOWNLOADED: dict[int | str, dict[str, Any]] = {200: {"description": "The bytes", "content": _BINARY}}
_SENT = "hello"
_BYTES = {  # nothing is due where the bytes are here already, or where there are none in the file
    "requestBody": {"required": False, "content": {kind: {**told, "example": _SENT} for kind, told in _BINARY.items()}}
}
Sha256 = Annotated[
    str,
    Path(
        max_length=200, description="SHA-256 of the bytes, 64 lower-case hex digits", examples=[hashlib.sha256(_SENT.encode()).hexdigest()],
        json_schema_extra={"pattern": "^[0-9a-f]{64}$"},
    ),
]  # fmt: skip


def routes(platform: Platform) -> APIRouter:
    """The routes over `platform`."""
    data = Routes(platform, tags=["blobs"])

    @data.add("HEAD", "/blobs/{sha256}", "read", response_class=Response, responses=_STATUS)
    def blob_status(caller: Caller, sha256: Sha256) -> Response:
        """Whether the bytes are stored, or how much of them has arrived."""
        found = blobs.upload_status(platform, caller, sha256)
        if found is not None and not found.is_complete:
            return Response(status_code=308, headers={"upload-offset": str(found.offset)})
        return Response(headers={"content-length": str(blobs.find_blob(platform, caller, sha256).size_bytes)})

    @data.add("PUT", "/blobs/{sha256}", "write", status=201, response_class=Response, responses=_UPLOADED, openapi_extra=_BYTES)
    async def upload_blob(caller: Caller, sha256: Sha256, request: Request) -> Response:
        """Sends bytes, whole or in pieces; 308 tells where to go on. Nothing is visible before the digest was checked."""
        offset, total = _announced(request)
        found = await asyncio.to_thread(blobs.begin_upload, platform, caller, sha256, total)
        if not found.is_complete:
            found = await _receive(platform, caller, request, found, offset)
        if found.offset < found.size_bytes:
            return Response(status_code=308, headers={"range": f"bytes=0-{found.offset - 1}"} if found.offset else {})
        await asyncio.to_thread(blobs.finish_upload, platform, caller, sha256)
        return Response(status_code=201)

    @data.add("GET", "/blobs/{sha256}", "read", response_class=StreamingResponse, responses=_DOWNLOADED)
    def download_blob(caller: Caller, sha256: Sha256, request: Request) -> StreamingResponse:
        """The bytes; with `Range`, from any byte on. Damage is noticed while reading: then the answer breaks off instead of ending well."""
        size_bytes = blobs.find_blob(platform, caller, sha256).size_bytes
        return send(request, blobs.open_blob(platform, caller, sha256), size_bytes)

    return data.router


async def _receive(platform: Platform, caller: Principal, request: Request, status: UploadStatus, offset: int) -> UploadStatus:
    """Appends the body piece by piece, never holding more than a piece of it; what arrived before a broken line stays."""
    piece = bytearray()

    async def append() -> UploadStatus:
        found = await asyncio.to_thread(blobs.append_upload, platform, caller, status.digest, offset, bytes(piece))
        piece.clear()
        return found

    try:
        async for chunk in request.stream():
            piece += chunk
            if len(piece) >= _PIECE_BYTES:
                status = await append()
                offset = status.offset
    except ClientDisconnect:
        if piece:
            await append()
        raise
    return await append() if piece else status


def _announced(request: Request) -> tuple[int, int]:
    """First byte of this piece, and the size of the whole. Raises InvalidInput (`invalid_content_range`)."""
    header, length = request.headers.get("content-range"), request.headers.get("content-length", "")
    size = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else None
    if header is None and size is not None:
        return 0, size
    found = _RANGE.fullmatch(header or "")
    if found is None:
        raise InvalidInput("invalid_content_range")
    first, last, total = (int(number) for number in found.groups())
    if not first <= last < total or (size is not None and size != last - first + 1):
        raise InvalidInput("invalid_content_range")
    return first, total
