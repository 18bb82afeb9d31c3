"""The outermost ASGI layer: request ids, language, the fast way to inference, errors to answers, one log line a request.

Broad `except` stands here and nowhere deeper: whatever escapes a route becomes `internal`, with the traceback in the log only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hanlin.errors import Cancelled, HanlinError, Internal, InvalidInput
from hanlin.gateway.cors import Cors, Headers
from hanlin.gateway.door import NAME, PLAIN, Manner
from hanlin.gateway.doorman import Doorman
from hanlin.gateway.doors import Found
from hanlin.gateway.http_guard import ALLOW
from hanlin.gateway.metrics import GatewayMetrics
from hanlin.gateway.responses import error_response, header_text, language_of, request_id_of
from hanlin.gateway.trace import trace_of
from hanlin.gateway.valve import Valve
from hanlin.observe import logs
from hanlin.observe.access_log import AccessLog

_log = logging.getLogger("hanlin.gateway")
_MAX_REMEMBERED = 128  # characters of a path; those of real endpoints are shorter
_FOR_GOOD = {"Unauthenticated", "PermissionDenied", "NotFound"}


class Edge:
    """Wraps the rest of the gateway.

    Args:
        inner: control API, console, documents, health: everything off the hot path.
        cors: which pages of other origins may read answers; None: none, and nothing is said of it.
        is_draining: whether this gateway is about to end; its callers are then asked to come back over a new connection.

    Attributes:
        valve: closed for callers whom a worker has just refused; the HTTP protocol asks it.
    """

    def __init__(
        self, inner: ASGIApp, doorman: Doorman, metrics: GatewayMetrics, *, cors: Cors | None = None,
        is_draining: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._cors = cors
        self._inner = inner
        self._doorman = doorman
        self._metrics = metrics
        self._is_draining = is_draining
        self._find = lru_cache(maxsize=1024)(self._look)  # callers come back to the same few addresses
        self._access = AccessLog()
        self.valve = Valve(self._turned_away, is_off=is_draining)

    def record(self, method: str, route: str, status: int, seconds: float, request_id: str, *, trace_id: str = "") -> None:
        """Note a call that came through another server of this gateway."""
        self._metrics.begin()
        self._metrics.end(method, route, status, seconds)
        self._access.add(method, route, status, seconds, request_id, trace_id=trace_id)

    def end_streams(self) -> None:
        """This gateway can wait no longer for answers that are being told: they end with an error event."""
        self._doorman.streams.end_all()

    def close(self) -> None:
        """Write what the log still holds back."""
        self._access.flush()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        headers: dict[bytes, bytes] = {name.lower(): value for name, value in scope["headers"]}
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id_of(header_text(headers.get(b"x-request-id")))
        state["language"] = language_of(header_text(headers.get(b"accept-language")))
        trace = state["trace"] = trace_of(headers, scope["headers"])
        own = [(b"x-request-id", state["request_id"].encode()), (b"traceresponse", trace.header)]
        if self._cors is not None:
            own += self._cors.headers(headers.get(b"origin"))
        answer = _Answer(send, own, scope.get("hanlin.send_whole"), is_last=self._is_draining())
        self._metrics.begin()
        with logs.request_id(state["request_id"], trace.trace_id):
            await self._guard(scope, receive, answer, headers)

    async def _guard(self, scope: Scope, receive: Receive, answer: _Answer, headers: dict[bytes, bytes]) -> None:
        begun_s = time.perf_counter()
        try:
            await self._handle(scope, receive, answer, headers)
        except HanlinError as error:
            await self._refuse(error, scope, receive, answer)
        except asyncio.CancelledError:
            if not _was_hung_up(scope):
                raise
            answer.status = 499
        except ClientDisconnect:
            answer.status = 499
        except Exception:
            _log.exception("a route failed")
            await self._refuse(Internal("internal"), scope, receive, answer)
        finally:
            self._record(scope, answer.status, time.perf_counter() - begun_s)
            if answer.status == 200 and self.valve.is_at_work and scope["method"] == "POST":
                self.valve.answered(_target(scope), scope["headers"])

    async def _handle(self, scope: Scope, receive: Receive, answer: _Answer, headers: dict[bytes, bytes]) -> None:
        if self._cors is not None and scope["method"] == "OPTIONS" and (allowed := self._cors.preflight(headers)) is not None:
            scope["state"]["route"] = "preflight"
            await answer.send_alone(204, allowed)
            return
        path: str = scope["path"]
        try:
            found = self._find(path) if len(path) <= _MAX_REMEMBERED else self._look(path)
        except InvalidInput:
            self._speak_as_asked(scope)
            raise
        if found is None:
            await self._inner(scope, receive, answer.send)
            return
        door = found.door
        scope["state"]["route"] = door.path
        scope["state"]["manner"] = door.manner
        method: str = scope["method"]
        if scope["query_string"] and door.takes(method):
            self._doorman.check_query(found, scope["query_string"], headers)
        if method == "POST" and door.act is not None:
            await (await self._doorman.act(found, receive, headers))(scope, receive, answer.send)
        elif method == "POST" and door.has_post:
            await self._doorman.call(found, scope, receive, answer.send_whole, headers=headers, send=answer.send)
        elif method in ("GET", "HEAD") and door.has_get:
            await (await self._doorman.show(found, headers))(scope, receive, answer.send)
        elif method in door.elsewhere:
            await self._inner(scope, receive, answer.send)
        else:
            raise InvalidInput("method_not_allowed", allowed=door.allowed)

    def _look(self, path: str) -> Found | None:
        check_path(path)
        return self._doorman.doors.find(path)

    def _speak_as_asked(self, scope: Scope) -> None:
        """An address that is refused is refused in the words of the protocol that it was meant for."""
        if (found := self._doorman.doors.find(scope["path"])) is not None:
            scope["state"]["manner"] = found.door.manner

    async def _refuse(self, error: HanlinError, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if isinstance(error, Cancelled) and error.code == "client_gone":
            answer.status = 499
            return
        if error.details:
            _log.warning(error.code, extra={"details": error.details})
        if answer.is_complete:  # the framework has answered before it passed the error on
            return
        if answer.status:  # the head has left: only breaking the connection tells the caller
            raise error
        if error.code == "endpoint_overloaded":
            self._close_valve(error, scope)
        elif error.family in _FOR_GOOD and self.valve.is_at_work:
            self.valve.open(_target(scope), scope["headers"])
        await refusal(error, scope)(scope, receive, answer.send)

    def _close_valve(self, error: HanlinError, scope: Scope) -> None:
        """Only where the address names the endpoint: others of the same caller must not suffer for it."""
        route: str = scope["state"].get("route", "")
        if NAME in route:
            self.valve.close(_target(scope), scope["headers"], error, route, refuse=_manner(scope).refuse)

    def _turned_away(self, request_id: str, route: str) -> None:
        """A request was refused at the valve."""
        self._metrics.begin()
        self._metrics.end("POST", route, 429, 0.0)
        self._access.add("POST", route, 429, 0.0, request_id)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = str(scope["state"].get("route") or _route_name(scope))
        self._metrics.end(scope["method"], route, status, seconds)
        state = scope["state"]
        self._access.add(scope["method"], route, status, seconds, state["request_id"], trace_id=state["trace"].trace_id)


class _Answer:
    """Remembers the status and adds what every answer has; the last one of its connection says so.

    Args:
        own: header lines of every answer, the request id first.
    """

    __slots__ = ("_is_last", "_own", "_send", "_send_whole", "is_complete", "status")

    def __init__(
        self, send: Send, own: Headers, send_whole: Callable[[int, bytes, bytes], bool] | None, *, is_last: bool
    ) -> None:  # fmt: skip
        self._is_last = is_last
        self._send = send
        self._send_whole = send_whole
        self._own = own
        self.status = 0
        self.is_complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.get("headers", [])
            has_id = any(name == b"x-request-id" for name, _ in headers)
            headers = message["headers"] = [*headers, *self._own[1 if has_id else 0 :]]
            if self._is_last:
                headers.append((b"connection", b"close"))
        await self._send(message)
        self.is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer, in one write where the server can. Header names are lower case; the content's length is added."""
        headers += self._own
        if (
            self._send_whole is not None
            and not self._is_last
            and self._send_whole(status, b"".join(b"%s: %s\r\n" % line for line in headers), body)
        ):
            self.status, self.is_complete = status, True
            return
        headers.append((b"content-length", b"%d" % len(body)))
        await self._start(status, headers)
        await self.send({"type": "http.response.body", "body": body})

    async def send_alone(self, status: int, headers: Headers) -> None:
        """An answer without a body and without what every answer has but the ids."""
        await self._start(status, [*headers, *self._own[:2]])
        await self.send({"type": "http.response.body", "body": b""})

    async def _start(self, status: int, headers: Headers) -> None:
        """A head that has all its lines."""
        self.status = status
        more = [(b"connection", b"close")] if self._is_last else []
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *more]})


def refusal(error: HanlinError, scope: Scope) -> Response:
    """The answer to `error` in the caller's language."""
    extra = {}
    if error.code == "method_not_allowed":
        extra["allow"] = str(error.params.get("allowed", ALLOW.decode()))
    if error.code in ("body_too_large", "control_body_too_large"):
        extra["connection"] = "close"
    state = scope["state"]
    return error_response(error, request_id=state["request_id"], language=state["language"], extra=extra, body=_manner(scope).refuse)


def _manner(scope: Scope) -> Manner:
    found: Manner = scope["state"].get("manner", PLAIN)
    return found


def _target(scope: Scope) -> bytes:
    """Path and query as they came."""
    path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path


def check_path(path: str) -> None:
    """Raises InvalidInput (`invalid_path`) for what no route of ours has: control characters, backslashes, dot segments, escapes left."""
    if not _is_plain(path):
        raise InvalidInput("invalid_path")


def _is_plain(path: str) -> bool:
    return (
        path.isascii()
        and path.isprintable()
        and not any(mark in path for mark in ("\\", "//", "/../", "/./", "%"))
        and not path.endswith(("/..", "/."))
    )


def _route_name(scope: Scope) -> str:
    route = scope.get("route")
    return str(getattr(route, "path", "")) or "other"


def _was_hung_up(scope: Scope) -> bool:
    return bool(scope.get("hanlin.is_gone", lambda: False)())
