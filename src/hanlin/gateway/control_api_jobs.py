"""Routes of jobs, with their live events as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from hanlin.control import jobs
from hanlin.control.platform import Platform
from hanlin.errors import NotReady
from hanlin.gateway.control_api_routing import Caller, Language, Routes, answers, events, language_of_caller
from hanlin.gateway.control_api_wire import JobAnswer, JobRequest, JobsAnswer
from hanlin.jobs import Job, JobEvent
from hanlin.types import Principal

_POLL_S = 0.3
_HEARTBEAT_S = 10.0
Limit = Annotated[int, Query(ge=1, le=jobs.MAX_LISTED)]


def routes(platform: Platform, is_draining: Callable[[], bool] = lambda: False) -> APIRouter:
    """The routes over `platform`.

    Args:
        is_draining: whether this gateway is about to end, and its streams with it.
    """
    data = Routes(platform, tags=["jobs"])

    @data.add("POST", "/jobs", "write", status=202)
    def submit_job(caller: Caller, language: Language, body: JobRequest) -> JobAnswer:
        """Queues a job: checked here, defaults filled in."""
        job = jobs.submit(platform, caller, kind=body.kind, config=body.config, idempotency_key=body.idempotency_key)
        return _answer(job, language)

    @data.add("GET", "/jobs", "read")
    def list_jobs(caller: Caller, language: Language, state: str | None = None, limit: Limit = 50) -> JobsAnswer:
        """The team's jobs, running ones first, then the newest."""
        return JobsAnswer(jobs=[_answer(job, language) for job in jobs.list_jobs(platform, caller, state=state, limit=limit)])

    @data.add("GET", "/jobs/{job_id}", "read")
    def get_job(caller: Caller, language: Language, job_id: str) -> JobAnswer:
        """One job."""
        return _answer(jobs.get_job(platform, caller, job_id), language)

    @data.add("POST", "/jobs/{job_id}/cancel", "write")
    def cancel_job(caller: Caller, language: Language, job_id: str) -> JobAnswer:
        """Ends a job: at once when queued, within 10 s when running; an ended one stays as it is."""
        return _answer(jobs.cancel(platform, caller, job_id), language)

    @data.add("GET", "/jobs/{job_id}/logs", "read", response_class=Response, responses=answers("text/plain"))
    def job_logs(caller: Caller, language: Language, job_id: str) -> Response:
        """The job's story (messages, figures of each evaluation, its end), then the end of its own output."""
        return Response(jobs.logs(platform, caller, job_id, language=language), media_type="text/plain; charset=utf-8")

    @data.add("GET", "/jobs/{job_id}/events", "read", response_class=StreamingResponse, responses=events())
    def job_events(
        request: Request, caller: Caller, job_id: str, after: Annotated[int, Query(ge=0, lt=2**31)] = 0,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> StreamingResponse:  # fmt: skip
        """What the job tells, as it tells it (`text/event-stream`): `progress`, `message`, and `end` as the last one.
        A stream that must end before the job does ends with `error`.

        `Last-Event-ID` or `after` goes on behind an event that was seen already."""
        seen = (
            max(after, int(last_event_id))
            if last_event_id and last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 10
            else after
        )
        jobs.get_job(platform, caller, job_id)
        stream = _stream(platform, caller, job_id, seen, request=request, is_draining=is_draining)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store", "x-accel-buffering": "no"})

    return data.router


def _answer(job: Job, language: str) -> JobAnswer:
    """The wire form, its error and its message in the caller's language."""
    return JobAnswer.of(replace(job, error=job.error_in(language)), message=job.message_in(language))


async def _stream(
    platform: Platform, caller: Principal, job_id: str, after: int, *, request: Request, is_draining: Callable[[], bool]
) -> AsyncIterator[bytes]:  # fmt: skip
    """Events until the job's end, the client's, or this gateway's; a comment every few seconds keeps the line open."""
    spoke_s = time.monotonic()
    while not await request.is_disconnected():
        has_ended = (await asyncio.to_thread(jobs.get_job, platform, caller, job_id)).has_ended
        found = await asyncio.to_thread(jobs.events, platform, caller, job_id, after=after)
        for event in found:
            after = event.number
            yield _frame(event, language_of_caller(request))
            if event.kind == "end":
                return
        if is_draining():  # an end that no reader takes for the job's; going on behind the last event finds another gateway
            error = NotReady("server_stopping", retry_after_s=1.0).to_wire(language_of_caller(request))
            yield f"event: error\ndata: {json.dumps(error, ensure_ascii=True)}\n\n".encode()
            return
        if has_ended and not found:  # asked to go on behind the end
            return
        now_s = time.monotonic()
        if found:
            spoke_s = now_s
            continue
        if now_s - spoke_s > _HEARTBEAT_S:
            spoke_s = now_s
            yield b": still here\n\n"
        await asyncio.sleep(_POLL_S)


def _frame(event: JobEvent, language: str) -> bytes:
    # JSON on one line: no text, whatever it holds, can break the frame.
    return f"id: {event.number}\nevent: {event.kind}\ndata: {json.dumps(event.data_in(language), ensure_ascii=True)}\n\n".encode()
