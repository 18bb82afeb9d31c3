"""A stand-in server that speaks the contract over real sockets, with faults to order."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

KEY = "hl_" + "k" * 43
NOW = "2026-01-02T03:04:05+00:00"
REPORT = {
    "rows_read": 100,
    "rows_kept": 90,
    "bad_rows": {"total": 2, "first": [{"file": "a.csv", "line": 7, "problem": "no label"}]},
    "duplicates": 5,
    "conflicts": {"total": 3, "first": [{"file": "a.csv", "line": 9}]},
    "leaks": {"total": 1, "first": [{"file": "a.csv", "line": 4, "split": "test"}]},
    "labels": {"neg": {"train": 30, "validation": 5, "test": 5}, "pos": {"train": 40, "validation": 5, "test": 5}},
    "lengths": {"p5": 3, "p50": 12, "p95": 60, "p99": 90, "max": 200},
    "columns": {"text": "review", "label": "y"},
    "encoding": "gb18030",
    "digest": "d" * 64,
    "language": "zh",
}
METRICS = {
    "accuracy": 0.91,
    "macro_f1": 0.9,
    "micro_f1": 0.91,
    "ece": 0.03,
    "interval": [0.89, 0.93],
    "labels": ["neg", "pos"],
    "confusion": [[45, 5], [4, 46]],
    "per_class": {
        "neg": {"precision": 0.918, "recall": 0.9, "f1": 0.909, "support": 50},
        "pos": {"precision": 0.902, "recall": 0.92, "f1": 0.911, "support": 50},
    },
}
COMPRESSION = {
    "target": "latency",
    "budget": 0.5,
    "reference": "torch-fp32",
    "chosen": "openvino-int8",
    "machine": {"cpu": "Test CPU", "cores": 2, "flags": ["amx"]},
    "is_reference_kept": False,
    "variants": [
        {
            "variant": "torch-fp32",
            "status": "ok",
            "reason": "",
            "validation": {"metric": 0.91, "drop_points": 0.0},
            "test": {"metric": 0.9, "interval": [0.88, 0.92]},
            "latency_ms": {"p50": 8.0, "p99": 9.5},
            "throughput_rows_s": 200.0,
            "memory_bytes": 300_000_000,
            "size_bytes": 90_000_000,
            "max_score_difference": 0.0,
            "batch_invariant": True,
        },
        {
            "variant": "openvino-int8",
            "status": "ok",
            "reason": "",
            "validation": {"metric": 0.909, "drop_points": 0.1},
            "test": {"metric": 0.9, "interval": [0.88, 0.92]},
            "latency_ms": {"p50": 1.5, "p99": 2.0},
            "throughput_rows_s": 900.0,
            "memory_bytes": 120_000_000,
            "size_bytes": 23_000_000,
            "max_score_difference": 0.04,
            "batch_invariant": True,
        },
        {
            "variant": "onnxruntime-int8",
            "status": "over budget",
            "reason": "1.2 points",
            "validation": {"metric": 0.898, "drop_points": 1.2},
            "test": None,
            "latency_ms": {"p50": 1.2, "p99": 1.9},
            "throughput_rows_s": 950.0,
            "memory_bytes": 110_000_000,
            "size_bytes": 23_000_000,
            "max_score_difference": 0.2,
            "batch_invariant": False,
        },
        {"variant": "openvino-fp32", "status": "failed", "reason": "no such operator"},
    ],
}
FILE = b"weights" * 1000
MODEL = {
    "name": "sentiment-zh",
    "task": "text-classification",
    "notes": "",
    "aliases": {"production": 1},
    "versions": [
        {
            "number": 1,
            "state": "published",
            "is_base": False,
            "labels": ["neg", "pos"],
            "metrics": METRICS,
            "created_at": NOW,
            "published_at": NOW,
            "lineage": {"dataset": "reviews-zh:1", "seed": 0},
            "variants": [
                {"variant": "torch-fp32", "is_chosen": False, "size_bytes": 90_000_000, "evidence": COMPRESSION["variants"][0]},
                {"variant": "openvino-int8", "is_chosen": True, "size_bytes": 23_000_000, "evidence": COMPRESSION["variants"][1]},
            ],
            "certificates": [
                {
                    "variant": "openvino-int8",
                    "is_passed": True,
                    "created_at": NOW,
                    "report": {"rows": 400, "label_agreement": 0.995, "max_score_difference": 0.04, "tolerance": 0.1},
                }
            ],
            "pictures": ["confusion", "curve", "pareto"],
        },
        {"number": 2, "state": "candidate", "labels": ["neg", "pos"]},
    ],
}


@dataclass
class World:
    """What the stand-in holds, and which faults it shall show."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    partial: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys_seen: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # consumed one a request: "503", "429", "429-quota", "cut", "garbage", "500"
    stream_cuts: int = 0  # event streams cut after two events
    job_end: dict[str, Any] = field(default_factory=lambda: {"state": "succeeded"})
    results: dict[str, Any] = field(default_factory=dict)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    deploy_end: str = "ready"
    keys: list[dict[str, Any]] = field(default_factory=list)
    truncate_put_to: int = 0  # keep only so many bytes of the next PUT
    slow_s: float = 0.0
    gate: threading.Event = field(default_factory=threading.Event)
    hold_jobs: bool = False
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


def make_app(world: World) -> Any:
    def job_json(job: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in job.items() if not name.startswith("_")}

    async def predict(request: Request) -> Response:
        body = await request.json()
        endpoint = request.path_params["endpoint"]
        if endpoint != "sentiment":
            return error(404, "NotFound", "not_found", f"there is no endpoint {endpoint}", "`hanlin endpoint list` shows them.")
        texts = [body["inputs"]] if isinstance(body["inputs"], str) else body["inputs"]
        for index, text in enumerate(texts):
            if not text:
                return error(422, "InvalidInput", "empty_text", "the text is empty", "Send some text.", index=index)
        top = body.get("parameters", {}).get("top_k")
        rows = [
            sorted(
                ({"label": "pos", "score": 0.9 if "好" in text else 0.2}, {"label": "neg", "score": 0.1 if "好" in text else 0.8}),
                key=lambda row: -row["score"],
            )[:top]
            for text in texts
        ]
        return JSONResponse(rows[0] if isinstance(body["inputs"], str) else rows)

    async def describe(request: Request) -> Response:
        return JSONResponse(
            {
                "endpoint": request.path_params["endpoint"],
                "task": "text-classification",
                "labels": ["neg", "pos"],
                "model": "sentiment-zh",
                "version": 1,
                "variant": "openvino-int8",
                "limits": {"max_items": 256},
                "example": {},
            }
        )

    async def submit(request: Request) -> Response:
        body = await request.json()
        if body["kind"] == "train" and body["config"].get("dataset") == "missing":
            return error(404, "NotFound", "not_found", "there is no dataset missing", "`hanlin dataset list` shows them.")
        if found := world.keys_seen.get(body["idempotency_key"]):
            return JSONResponse(job_json(world.jobs[found]), 202)
        job_id = f"job-{len(world.jobs) + 1}"
        world.keys_seen[body["idempotency_key"]] = job_id
        world.jobs[job_id] = {
            "id": job_id,
            "kind": body["kind"],
            "state": "queued",
            "attempt": 0,
            "config": body["config"],
            "progress": None,
            "message": None,
            "result": None,
            "error": None,
            "created_at": NOW,
            "started_at": None,
            "ended_at": None,
        }
        return JSONResponse(job_json(world.jobs[job_id]), 202)

    async def list_jobs(request: Request) -> Response:
        state = request.query_params.get("state")
        return JSONResponse({"jobs": [job_json(job) for job in world.jobs.values() if state in (None, job["state"])]})

    def find(request: Request) -> dict[str, Any] | None:
        return world.jobs.get(request.path_params["id"])

    def no_job() -> Response:
        return error(404, "NotFound", "not_found", "there is no such job", "`hanlin job list` shows them.")

    async def get_job(request: Request) -> Response:
        job = find(request)
        return JSONResponse(job_json(job)) if job else no_job()

    async def cancel(request: Request) -> Response:
        job = find(request)
        if job is None:
            return no_job()
        job.update(state="cancelled", error={"code": "cancelled_by_user", "family": "Cancelled", "message": "the job was cancelled"})
        return JSONResponse(job_json(job))

    async def logs(request: Request) -> Response:
        return PlainTextResponse("line one\nline two\n") if find(request) else no_job()

    async def events(request: Request) -> Response:
        job = find(request)
        if job is None:
            return no_job()
        after = int(request.query_params["after"])
        all_events = [("message", {"message": "第一行\n\ndata: 二"})] + [
            ("progress", {"step": step, "total": 5, "metrics": {"loss": 1.0 / step, "accuracy": 0.5 + step / 12}}) for step in range(1, 6)
        ]

        async def body() -> AsyncIterator[bytes]:
            sent = 0
            yield b": hello\n\n"
            for seq, (name, data) in enumerate(all_events, 1):
                if seq <= after:
                    continue
                if world.stream_cuts and sent == 2:
                    world.stream_cuts -= 1
                    raise ConnectionResetError("cut to order")
                yield f"event: {name}\r\nid: {seq}\r\ndata: {json.dumps(data)}\r\n\r\n".encode()
                sent += 1
                await asyncio.sleep(0)
            while world.hold_jobs and not world.gate.is_set():
                await asyncio.sleep(0.01)
            if job["state"] != "cancelled":
                job.update(world.job_end, result=world.results.get(job["kind"], {"ok": True}), progress=all_events[-1][1])
            yield f"event: end\nid: {len(all_events) + 1}\ndata: {json.dumps({'state': job['state']})}\n\n".encode()

        return StreamingResponse(body(), media_type="text/event-stream")

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

    async def dataset(request: Request) -> Response:
        if request.path_params["name"] != "reviews-zh":
            return error(404, "NotFound", "not_found", "there is no dataset of this name", "`hanlin dataset list` shows them.")
        return JSONResponse(
            {
                "name": "reviews-zh",
                "task": "text-classification",
                "versions": [{"number": 1, "digest": "d" * 64, "rows": 90, "created_at": NOW, "report": REPORT}],
            }
        )

    async def datasets(request: Request) -> Response:
        return JSONResponse(
            {
                "datasets": [
                    {
                        "name": "reviews-zh",
                        "task": "text-classification",
                        "versions": [{"number": 1, "digest": "d" * 64, "rows": 90, "created_at": NOW, "report": REPORT}],
                    }
                ]
            }
        )

    async def models(request: Request) -> Response:
        return JSONResponse({"models": [MODEL]})

    async def model(request: Request) -> Response:
        if request.path_params["name"] != world.known_model:
            return error(404, "NotFound", "not_found", "there is no model of this name", "`hanlin model list` shows them.")
        return JSONResponse(MODEL)

    async def publish(request: Request) -> Response:
        if request.path_params["number"] == 1:
            return error(409, "Conflict", "already_published", "version 1 is published already")
        return JSONResponse({"number": 2, "state": "published"})

    async def ok(request: Request) -> Response:
        return JSONResponse({"ok": True, "got": (await request.json()) if await request.body() else None})

    async def card(request: Request) -> Response:
        return PlainTextResponse("# sentiment-zh\n\n| a | b |\n", media_type="text/markdown")

    async def picture(request: Request) -> Response:
        return Response(b"<svg/>", media_type="image/svg+xml")

    async def files(request: Request) -> Response:
        digest = hashlib.sha256(FILE).hexdigest()
        world.blobs.setdefault(digest, FILE)
        return JSONResponse({"files": [{"path": "variants/a/model.bin", "sha256": digest, "size_bytes": len(FILE)}]})

    async def deploy(request: Request) -> Response:
        body = await request.json()
        found = {
            "id": f"dep-{len(world.deployments) + 1}",
            "version": 1,
            "state": "starting",
            "reason": None,
            "created_at": NOW,
            "url": f"{world.url}/models/{body['endpoint']}",
            "replicas": 1,
            "variant": "openvino-int8",
            **body,
        }
        world.deployments.append(found)
        return JSONResponse(found, 202)

    async def deployments(request: Request) -> Response:
        for found in world.deployments:
            if found["state"] == "starting":
                found.update(state=world.deploy_end, reason="not enough memory" if world.deploy_end == "failed" else None)
        return JSONResponse({"deployments": world.deployments})

    async def rollback(request: Request) -> Response:
        return JSONResponse(
            {
                "id": "dep-0",
                "endpoint": request.path_params["endpoint"],
                "model": "sentiment-zh",
                "version": 1,
                "state": "ready",
                "replicas": 1,
            },
            202,
        )

    async def endpoints(request: Request) -> Response:
        return JSONResponse(
            {
                "endpoints": [
                    {
                        "endpoint": "sentiment",
                        "task": "text-classification",
                        "model": "sentiment-zh",
                        "version": 1,
                        "variant": "openvino-int8",
                        "state": "ready",
                        "replicas": 1,
                        "url": f"{world.url}/models/sentiment",
                    }
                ]
            }
        )

    async def endpoint(request: Request) -> Response:
        return JSONResponse({"endpoint": request.path_params["endpoint"], "task": "text-classification", "state": "ready"})

    async def tasks(request: Request) -> Response:
        return JSONResponse(
            {
                "tasks": [
                    {
                        "name": "text-classification",
                        "main_metric": "accuracy",
                        "columns": ["text", "label"],
                        "example": {"request": {"inputs": "好"}},
                    }
                ]
            }
        )

    async def list_keys(request: Request) -> Response:
        return JSONResponse({"keys": [{name: value for name, value in key.items() if name != "secret"} for key in world.keys]})

    async def create_key(request: Request) -> Response:
        body = await request.json()
        world.keys.append({"id": f"key-{len(world.keys) + 1}", "created_at": NOW, "revoked_at": None, "secret": "hl_" + "s" * 43, **body})
        return JSONResponse(world.keys[-1], 201)

    async def revoke(request: Request) -> Response:
        return Response(status_code=204)

    version = "/api/v1/models/{name}/versions/{number:int}"
    routes = [
        Route("/models/{endpoint}", predict, methods=["POST"]),
        Route("/models/{endpoint}", describe),
        Route("/api/v1/jobs", submit, methods=["POST"]),
        Route("/api/v1/jobs", list_jobs),
        Route("/api/v1/jobs/{id}", get_job),
        Route("/api/v1/jobs/{id}/cancel", cancel, methods=["POST"]),
        Route("/api/v1/jobs/{id}/events", events),
        Route("/api/v1/jobs/{id}/logs", logs),
        Route("/api/v1/blobs/{digest}", blob_put, methods=["PUT"]),
        Route("/api/v1/blobs/{digest}", blob_head, methods=["HEAD"]),
        Route("/api/v1/blobs/{digest}", blob_get),
        Route("/api/v1/datasets", datasets),
        Route("/api/v1/datasets/{name}", dataset),
        Route("/api/v1/models", models),
        Route("/api/v1/models/{name}", model),
        Route(version + "/publish", publish, methods=["POST"]),
        Route("/api/v1/models/{name}/aliases/{alias}", ok, methods=["PUT"]),
        Route("/api/v1/models/{name}/notes", ok, methods=["PUT"]),
        Route(version + "/card", card),
        Route(version + "/pictures/{picture}", picture),
        Route(version + "/files", files),
        Route(version, ok, methods=["DELETE"]),
        Route("/api/v1/deployments", deploy, methods=["POST"]),
        Route("/api/v1/deployments", deployments),
        Route("/api/v1/endpoints", endpoints),
        Route("/api/v1/endpoints/{endpoint}", endpoint),
        Route("/api/v1/endpoints/{endpoint}", revoke, methods=["DELETE"]),
        Route("/api/v1/endpoints/{endpoint}/rollback", rollback, methods=["POST"]),
        Route("/api/v1/tasks", tasks),
        Route("/api/v1/keys", list_keys),
        Route("/api/v1/keys", create_key, methods=["POST"]),
        Route("/api/v1/keys/{id}", revoke, methods=["DELETE"]),
    ]
    return Gate(Starlette(routes=routes), world)


class Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """A thread has no signals to handle."""


@contextmanager
def serve(world: World, port: int = 0) -> Iterator[World]:
    """The stand-in on a free port (or `port`), in a thread."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    world.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = Server(uvicorn.Config(make_app(world), log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield world
    finally:
        world.gate.set()
        server.should_exit = True
        thread.join(10)
        listener.close()
