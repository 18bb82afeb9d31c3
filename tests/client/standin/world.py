"""What the stand-in holds, which faults it shall show, and the gate that shows them."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from .records import KEY


@dataclass
class World:
    """What the stand-in holds, and which faults it shall show."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    partial: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    empty_datasets: list[str] = field(default_factory=list)
    empty_models: list[dict[str, Any]] = field(default_factory=list)
    keys_seen: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # consumed one a request: "503", "429", "429-quota", "cut", "garbage", "500"
    stream_cuts: int = 0  # event streams cut after two events
    stops_cleanly: bool = False  # a cut stream ends with an error event
    job_end: dict[str, Any] = field(default_factory=lambda: {"state": "succeeded"})
    results: dict[str, Any] = field(default_factory=dict)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    rollbacks: list[dict[str, Any]] = field(default_factory=list)
    deploy_end: str = "ready"
    trial: dict[str, Any] | None = None
    lingers: int = 0  # so often an endpoint that was taken away still answers
    gone: set[str] = field(default_factory=set)
    endpoint_settings: dict[str, object] = field(default_factory=dict)
    keys: list[dict[str, Any]] = field(default_factory=list)
    truncate_put_to: int = 0  # keep only so many bytes of the next PUT
    slow_s: float = 0.0
    gate: threading.Event = field(default_factory=threading.Event)
    hold_jobs: bool = False
    cancel_state: str = "cancelled"  # of a job that was asked to end
    talks: list[dict[str, Any]] = field(default_factory=list)  # bodies of chat completions
    talk_fault: str = ""  # of a stream behind its second piece: "cut", "error"
    known_model: str = "sentiment-zh"
    url: str = ""

    def paths(self, method: str) -> list[str]:
        return [path for found, path, _ in self.requests if found == method]


def error(status: int, family: str, code: str, message: str, next_step: str = "", **more: object) -> JSONResponse:
    headers = {"retry-after": str(more.pop("retry"))} if "retry" in more else {}
    wire = {"code": code, "family": family, "message": message, "request_id": "req-1", **more}
    if next_step:
        wire["next"] = next_step
    return JSONResponse({"error": wire}, status, headers)


def fault_answer(fault: str) -> Response:
    if fault == "503":
        return error(503, "NotReady", "endpoint_starting", "the endpoint is starting", retry=0.01)
    if fault == "429":
        return error(429, "Overloaded", "queue_full", "the queue is full", retry=0.01)
    if fault == "429-quota":
        return error(429, "QuotaExceeded", "quota_used", "the quota is used up", retry=0.01)
    if fault == "500":
        return error(500, "EngineFailed", "model_output_invalid", "the model answered nonsense")
    return PlainTextResponse("<html>bad gateway</html>", 502 if fault == "garbage" else 200)


class Gate:
    """Checks the key, notes the request, shows the ordered faults."""

    def __init__(self, app: Any, world: World) -> None:
        self.app, self.world = app, world

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.world.requests.append((scope["method"], scope["path"], headers))
        if scope["path"] == "/healthz":
            await PlainTextResponse("ok")(scope, receive, send)
            return
        if headers.get("authorization") != f"Bearer {KEY}":
            await error(401, "Unauthenticated", "invalid_key", "the API key is not valid", "Create one.")(scope, receive, send)
            return
        if self.world.slow_s:
            await asyncio.sleep(self.world.slow_s)
        fault = self.world.faults.pop(0) if self.world.faults else ""
        if fault == "cut":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
            await send({"type": "http.response.body", "body": b"[", "more_body": True})
            raise ConnectionResetError("cut to order")
        await (fault_answer(fault) if fault else self.app)(scope, receive, send)
