"""The first page: what serves, what runs, what there is."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from hanlin.console.visits import Visit

RECENT_JOBS = 6


async def show(visit: Visit) -> Response:
    """Endpoints, jobs and models at a glance."""
    return await _draw(visit, "overview.html.jinja")


async def now(visit: Visit) -> Response:
    """The same without the frame; the page asks for it every few seconds."""
    return await _draw(visit, "_now.html.jinja")


async def _draw(visit: Visit, template: str) -> Response:
    port = visit.site.port
    endpoints, jobs, models = await asyncio.gather(
        visit.ask(port.list_endpoints), visit.ask(port.list_jobs, RECENT_JOBS), visit.ask(port.list_models)
    )
    return visit.render(template, endpoints=endpoints, jobs=jobs, models=models)
