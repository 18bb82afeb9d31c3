"""Jobs and their live story: the page is drawn once, then events stream into its curves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from hanlin.console import words
from hanlin.console.views import JobEventView
from hanlin.console.visits import Visit, renew
from hanlin.errors import HanlinError, NotFound, Overloaded
from hanlin.gateway.downloads import send

MAX_LIST = 100
MAX_STREAMS = 64
POLL_S = 0.5
QUIET_S = 15.0  # a comment keeps proxies from closing a silent stream
STREAM_S = 3600.0  # then the browser connects anew, with the number of the last event it saw

_open_streams: set[int] = set()


async def show_list(visit: Visit) -> Response:
    """The newest jobs."""
    return visit.render("jobs.html.jinja", jobs=await visit.ask(visit.site.port.list_jobs, MAX_LIST))


async def show_job(visit: Visit) -> Response:
    """One job: how far it is, its curves, its result or its error."""
    job = await visit.ask(visit.site.port.get_job, _id(visit))
    return visit.render("job.html.jinja", job=job, metric_names=words.figure_names(visit.language))


async def show_trials(visit: Visit) -> Response:
    """The table of a search's trials, asked for again and again while it runs."""
    return visit.render("_trials.html.jinja", job=await visit.ask(visit.site.port.get_job, _id(visit)))


async def fetch_file(visit: Visit) -> Response:
    """The results or errors of a batch; with `Range`, from any byte on."""
    which = str(visit.request.path_params["which"])
    if which not in {"output", "errors"}:
        raise NotFound("console_page_missing")
    file = await visit.ask(visit.site.port.job_file, _id(visit), which)
    return send(visit.request, file.stream, file.size_bytes, name=file.name)


async def stream_events(visit: Visit) -> Response:
    """Server-sent events from `?after=` or `Last-Event-ID` on, until the job ends.

    Raises:
        Overloaded: `console_too_many_streams` above `MAX_STREAMS` in this process.
    """
    await visit.ask(visit.site.port.get_job, _id(visit))
    if len(_open_streams) >= MAX_STREAMS:
        raise Overloaded("console_too_many_streams", retry_after_s=10)
    after = visit.request.headers.get("last-event-id") or visit.request.query_params.get("after", "0")
    start = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_follow(visit, start), media_type="text/event-stream", headers=headers)


async def _follow(visit: Visit, after: int) -> AsyncIterator[str]:
    _open_streams.add(id(visit))
    try:
        async for line in _lines(visit, after):
            yield line
    finally:
        _open_streams.discard(id(visit))


async def _lines(visit: Visit, after: int) -> AsyncIterator[str]:
    port, job_id, loop = visit.site.port, _id(visit), asyncio.get_running_loop()
    opened = spoken = loop.time()
    while loop.time() - opened < STREAM_S:
        await renew(visit, visit.session)
        try:
            job = await visit.ask(port.get_job, job_id)  # before the events: none can follow an end that was seen here
            events = await visit.ask(port.job_events, job_id, after)
        except HanlinError:
            yield format_event("gone", {}, after)
            return
        for event in events:
            after = event.seq
            if event.kind != "end":  # our own end comes with the job's state, below
                yield format_event(event.kind, _body(event, visit.language), after)
        if job.has_ended and not events:
            yield format_event("end", {"state": job.state}, after)
            return
        if events:
            spoken = loop.time()
        elif loop.time() - spoken > QUIET_S:
            spoken = loop.time()
            yield ": quiet\n\n"
        if len(events) == 0:
            await asyncio.sleep(POLL_S)


def format_event(kind: str, body: dict[str, object], seq: int) -> str:
    """One server-sent event. JSON has no line breaks, so nothing in a message can end the frame.

    Source: WHATWG HTML, section "Server-sent events".
    """
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(body, ensure_ascii=True, allow_nan=False)}\n\n"


def _body(event: JobEventView, language: str) -> dict[str, object]:
    metrics = {name: value for name, value in event.metrics if abs(value) < float("inf")}
    return {"step": event.step, "total": event.total, "metrics": metrics, "message": event.said.text(language) if event.said else ""}


def _id(visit: Visit) -> str:
    return str(visit.request.path_params["job"])[:100]
