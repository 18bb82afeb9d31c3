"""Strict JSON bodies for the control API: bounded, UTF-8, no NaN, no surrogates, no echo of what was sent.

FastAPI alone answers 500 to `NaN` and to lone surrogates, and repeats a wrong value of any size in its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from hanlin.control.field_problems import field_error
from hanlin.errors import InvalidInput
from hanlin.gateway.query import check_query
from hanlin.gateway.strict_json import parse

MAX_BODY_BYTES = 2 * 2**20
IGNORED_QUERY = "x-ignored-query"  # of a route's description: parameters that are taken and change nothing


class StrictRoute(APIRoute):
    """An API route whose JSON body is parsed here, whose query holds what it takes, and whose validation errors are ours."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wraps FastAPI's handler."""
        handle = super().get_route_handler()
        takes_body = self.body_field is not None
        body = self.body_field.field_info.annotation if self.body_field is not None else None
        is_body_due = self.body_field is not None and self.body_field.field_info.is_required()
        guards = [depends.dependency for depends in self.dependencies if depends.dependency is not None]

        query = {field.alias for field in get_flat_params(self.dependant) if isinstance(field.field_info, params.Query)}
        query.update((self.openapi_extra or {}).get(IGNORED_QUERY, ()))

        async def strict(request: Request) -> Response:
            is_body_there = takes_body and (is_body_due or _has_body(request))
            if is_body_there or request.scope["query_string"]:
                for guard in guards:  # strangers are sent away before a byte of their body is read, or they are told what is taken
                    await run_in_threadpool(guard, request)
                check_query(request.scope["query_string"], query)
            if is_body_there:
                request = await _load(request)
            try:
                return await handle(request)
            except RequestValidationError as error:
                raise invalid_field(error, body) from error

        return strict


def _has_body(request: Request) -> bool:
    """Whether anything was sent, or is said to come."""
    headers = request.headers
    return "content-type" in headers or "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def _load(request: Request) -> Request:
    """The request with its parsed body in place."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidInput("wrong_content_type")
    body = await read_body(request, MAX_BODY_BYTES)
    found = Request(request.scope, request.receive)
    found._body = body
    found._json = parse(body)
    return found


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, never holding more than `limit` bytes. Raises InvalidInput (`control_body_too_large`)."""
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise InvalidInput("control_body_too_large", limit=limit)
        parts.append(chunk)
    return b"".join(parts)


def invalid_field(error: RequestValidationError, body: object = None) -> InvalidInput:
    """What a body (of the form `body`) or parameter was refused for: names the field, never repeats the value."""
    model = body if isinstance(body, type) and issubclass(body, BaseModel) else None
    return field_error(error.errors(), model, otherwise="invalid_field", has_place=True)
