"""Puts the gateway together: the edge, the doors, health, documents, the control API's router and the console."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hanlin import __version__
from hanlin.errors import HanlinError, Internal, InvalidInput, NotFound
from hanlin.gateway.control_api_strict import invalid_field
from hanlin.gateway.cors import Cors
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.docs_page import docs_router
from hanlin.gateway.doorman import Doorman
from hanlin.gateway.edge import Edge, refusal
from hanlin.gateway.health import health_router
from hanlin.gateway.metrics import GatewayMetrics
from hanlin.gateway.operation import PREFIX
from hanlin.gateway.responses import methods_of
from hanlin.gateway.streaming import Streams


def create_app(
    dataplane: Dataplane, *, control_router: APIRouter | None = None, console_app: ASGIApp | None = None,
    is_database_ready: Callable[[], bool] | None = None, streams: Streams | None = None,
) -> Edge:  # fmt: skip
    """The ASGI app of a gateway. Its lifespan starts and stops the dataplane.

    Args:
        control_router: the control API's routes, paths included.
        console_app: asked for every address that no route here has.
        is_database_ready: asked by `/readyz`.
        streams: of this gateway, where others tell answers in parts, too.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await dataplane.start()
        try:
            yield
        finally:
            await dataplane.stop()
            edge.close()

    metrics = GatewayMetrics()
    doorman = Doorman(dataplane, streams=streams)
    metrics.stream_ends = doorman.streams.ends
    dataplane.peers.on_count = lambda: metrics.counted(dataplane.router, dataplane.cache)
    inner = FastAPI(
        title="Hanlin", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )  # fmt: skip
    inner.add_exception_handler(HanlinError, _hanlin_error)
    inner.add_exception_handler(Exception, _crash)
    inner.add_exception_handler(HTTPException, _http_error)
    inner.add_exception_handler(RequestValidationError, _validation_error)
    inner.include_router(health_router(dataplane, metrics, is_database_ready or (lambda: True)))
    if control_router is not None:
        inner.include_router(control_router)
    inner.include_router(docs_router(inner))
    if console_app is not None:
        # not mounted at "/": a mount takes every method, so wrong ones would look like missing pages
        inner.router.default = _beside_the_api(console_app, (f"{PREFIX}/", *doorman.doors.roots))
    origins = dataplane.settings.cors_origins
    edge = Edge(inner, doorman, metrics, cors=Cors(origins) if origins else None, is_draining=lambda: dataplane.is_draining)
    return edge


def _beside_the_api(console: ASGIApp, roots: tuple[str, ...]) -> ASGIApp:
    """The console, but for what looks like a call, below one of `roots`: a program is told in the API's form, never with a page."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and f"{scope['path']}/".startswith(roots):
            raise NotFound("no_such_page")
        await console(scope, receive, send)

    return answer


async def _crash(request: Request, error: Exception) -> Response:
    """Whatever else a route raises; the edge logs it."""
    return refusal(Internal("internal"), request.scope)


async def _hanlin_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HanlinError)
    return refusal(error, request.scope)


async def _http_error(request: Request, error: Exception) -> Response:
    """404 and 405 of the router, in our form."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return refusal(InvalidInput("method_not_allowed", allowed=methods_of(request)), request.scope)
    if error.status_code == 404:
        return refusal(NotFound("no_such_page"), request.scope)
    return refusal(InvalidInput("bad_request", status=error.status_code), request.scope)


async def _validation_error(request: Request, error: Exception) -> Response:
    """A parameter that a route outside the control API refused."""
    assert isinstance(error, RequestValidationError)
    return refusal(invalid_field(error), request.scope)
