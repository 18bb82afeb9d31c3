"""Blobs of the stand-in: uploads in pieces, checked by digest."""

from __future__ import annotations

import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .world import World, error


def routes(world: World) -> list[Route]:
    """The routes over `world`."""

    async def blob_head(request: Request) -> Response:
        digest = request.path_params["digest"]
        if digest in world.blobs:
            return Response(status_code=200, headers={"content-length": str(len(world.blobs[digest]))})
        if digest in world.partial:
            return Response(status_code=308, headers={"upload-offset": str(len(world.partial[digest]))})
        return Response(status_code=404)

    async def blob_put(request: Request) -> Response:
        digest, body = request.path_params["digest"], await request.body()
        stored = world.partial.get(digest, b"")
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.headers.get("content-range", ""))
        start, end, total = (int(part) for part in match.groups()) if match else (0, len(body) - 1, len(body))
        assert end - start + 1 == len(body)
        if start != len(stored):
            return error(409, "Conflict", "wrong_offset", "go on elsewhere")
        if world.truncate_put_to:
            body, world.truncate_put_to = body[: world.truncate_put_to], 0
        stored += body
        if len(stored) < total:
            world.partial[digest] = stored
            return Response(status_code=308, headers={"range": f"bytes=0-{len(stored) - 1}"})
        if hashlib.sha256(stored).hexdigest() != digest:
            return error(422, "InvalidInput", "digest_mismatch", "the bytes do not match the digest")
        world.blobs[digest] = stored
        world.partial.pop(digest, None)
        return Response(status_code=201)

    async def blob_get(request: Request) -> Response:
        return Response(world.blobs[request.path_params["digest"]])

    return [
        Route("/api/v1/blobs/{digest}", blob_put, methods=["PUT"]),
        Route("/api/v1/blobs/{digest}", blob_head, methods=["HEAD"]),
        Route("/api/v1/blobs/{digest}", blob_get),
    ]
