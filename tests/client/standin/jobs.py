"""Jobs of the stand-in: submitted, followed event by event, cancelled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from .records import NOW
from .world import World, error


def job_json(job: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in job.items() if not name.startswith("_")}


def routes(world: World) -> list[Route]:
    """The routes over `world`."""

    def find(request: Request) -> dict[str, Any] | None:
        return world.jobs.get(request.path_params["id"])

    def no_job() -> Response:
        return error(404, "NotFound", "not_found", "there is no such job", "`hanlin job list` shows them.")

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

    async def get_job(request: Request) -> Response:
        job = find(request)
        return JSONResponse(job_json(job)) if job else no_job()

    async def cancel(request: Request) -> Response:
        job = find(request)
        if job is None:
            return no_job()
        if world.cancel_state != "cancelled":
            return JSONResponse(job_json(job | {"state": world.cancel_state}))
        job.update(state="cancelled", error={"code": "cancelled_by_user", "family": "Cancelled", "message": "the job was cancelled"})
        return JSONResponse(job_json(job))

    async def logs(request: Request) -> Response:
        return PlainTextResponse("line one\nline two\n") if find(request) else no_job()

    async def events(request: Request) -> Response:
        job = find(request)
        if job is None:
            return no_job()
        after = max(int(request.query_params.get("after", 0)), int(request.headers.get("last-event-id", 0)))
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
                    if world.stops_cleanly:
                        yield b'event: error\ndata: {"code": "server_stopping", "family": "NotReady", "message": "it ends"}\n\n'
                        return
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

    return [
        Route("/api/v1/jobs", submit, methods=["POST"]),
        Route("/api/v1/jobs", list_jobs),
        Route("/api/v1/jobs/{id}", get_job),
        Route("/api/v1/jobs/{id}/cancel", cancel, methods=["POST"]),
        Route("/api/v1/jobs/{id}/events", events),
        Route("/api/v1/jobs/{id}/logs", logs),
    ]
