"""`/healthz` (alive), `/readyz` (takes calls) and `/metrics`. All three without a key: they tell no team's secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.metrics import GatewayMetrics
from hanlin.gateway.operation import answer_of, told
from hanlin.serving.trial_figures import load_figures

_DATABASE_TIMEOUT_S = 2.0
_OPEN: dict[str, Any] = {"security": []}
_CHECKS = answer_of(database={"type": "boolean"}, routes={"type": "boolean"}, draining={"type": "boolean"})
_READY = answer_of(status={"type": "string", "enum": ["ready", "not ready"]}, checks=_CHECKS)
_HEALTHZ = told(200, "It lives", answer_of(status={"type": "string", "enum": ["ok"]}))
_READYZ = told(200, "It takes calls", _READY) | told(503, "It does not", _READY)
_METRICS = told(200, "The counters", {"type": "string"}, kind="text/plain")


def health_router(dataplane: Dataplane, metrics: GatewayMetrics, is_database_ready: Callable[[], bool]) -> APIRouter:
    """The three routes; what only asks whether all is well may ask with HEAD. `is_database_ready` may block: it runs on a thread."""
    router = APIRouter(tags=["health"], default_response_class=Response, generate_unique_id_function=lambda route: route.name)

    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz", summary="Whether the process lives", responses=_HEALTHZ, openapi_extra=_OPEN)
    async def healthz() -> Response:
        return _json(200, {"status": "ok"})

    @router.head("/readyz", include_in_schema=False)
    @router.get(
        "/readyz",
        summary="Whether calls are taken: database reachable, routes known, not shutting down",
        responses=_READYZ,
        openapi_extra=_OPEN,
    )
    async def readyz() -> Response:
        checks = {"database": await _ask(is_database_ready), "routes": dataplane.router.has_routes, "draining": dataplane.is_draining}
        is_ready = bool(checks["database"] and checks["routes"] and not checks["draining"])
        return _json(200 if is_ready else 503, {"status": "ready" if is_ready else "not ready", "checks": checks})

    @router.get(
        "/metrics", summary="Counters in the Prometheus text form", responses=_METRICS, openapi_extra=_OPEN, response_class=Response
    )
    async def read_metrics() -> Response:
        peers = dataplane.peers
        trials = load_figures(dataplane.settings.home / "run")
        text = await metrics.render(dataplane.router, dataplane.cache, index=peers.index, others=await peers.counted(), trials=trials)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


async def _ask(is_database_ready: Callable[[], bool]) -> bool:
    try:
        async with asyncio.timeout(_DATABASE_TIMEOUT_S):
            return await asyncio.to_thread(is_database_ready)
    except Exception:  # whatever the driver raises means the same here
        return False


def _json(status: int, value: object) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json", headers={"cache-control": "no-store"})
