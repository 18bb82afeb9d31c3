"""Chat completions of the stand-in: it says how many messages there were and repeats the last one, word by word."""

from __future__ import annotations

import json
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from .world import World, error


def routes(world: World) -> list[Route]:
    """The routes over `world`."""

    async def complete(request: Request) -> Response:
        body = await request.json()
        world.talks.append(body)
        if body["model"] != "writer":
            return error(404, "NotFound", "endpoint_not_found", "there is no such endpoint")
        words = [f"{len(body['messages'])}:", *(f" {word}" for word in body["messages"][-1]["content"].split())]
        most = body.get("max_tokens", 100)
        finish = "stop" if len(words) <= most else "length"
        words = words[:most]
        usage = {"prompt_tokens": 7, "completion_tokens": len(words), "total_tokens": 7 + len(words)}
        if not body.get("stream"):
            message = {"role": "assistant", "content": "".join(words)}
            return JSONResponse({"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage})

        def events() -> Iterator[bytes]:
            yield b": a sign of life\n\n"
            yield _event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}], "usage": None})
            for place, word in enumerate(words):
                if place == 2 and world.talk_fault == "cut":
                    return
                if place == 2 and world.talk_fault == "error":
                    yield _event({"error": {"code": "stream_broken", "family": "EngineFailed", "message": "the stream has broken"}})
                    return
                yield _event({"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}], "usage": None})
            yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": None})
            yield _event({"choices": [], "usage": usage})
            yield b"data: [DONE]\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    return [Route("/v1/chat/completions", complete, methods=["POST"])]


def _event(value: object) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()
