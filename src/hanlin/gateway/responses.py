"""HTTP answers that all routes share: the error body, its headers, the language of the caller, request ids."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from hanlin.errors import HanlinError
from hanlin.gateway.rate_limits import in_flight_headers
from hanlin.gateway.status import error_type, http_status

_random = random.Random()  # noqa: S311 - a name, not a secret: told apart is enough, and it costs no system call
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_RETRY_FAMILIES = frozenset({"Overloaded", "QuotaExceeded", "NotReady"})


ErrorBody = Callable[[HanlinError, str, str], bytes]  # of an error, the request's id and the caller's language


def error_response(
    error: HanlinError, *, request_id: str, language: str = "en", extra: dict[str, str] | None = None, body: ErrorBody | None = None
) -> Response:  # fmt: skip
    """The public form of an error: 4 KB at most, no details. `body`: a protocol's own form."""
    headers = {**error_headers(error, language), **(extra or {})}
    return Response((body or error_body)(error, request_id, language), http_status(error), headers)


def error_headers(error: HanlinError, language: str) -> dict[str, str]:
    """Of every answer that is an error; names in lower case."""
    headers = {"content-type": "application/json", "content-language": language}
    if error.family in _RETRY_FAMILIES or error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s or 1.0)))
    if error.code == "too_many_calls" and isinstance(limit := error.params.get("limit"), int):
        headers |= in_flight_headers(limit)
    if error.family == "Unauthenticated":
        headers["www-authenticate"] = "Bearer"
    return headers


def error_body(error: HanlinError, request_id: str, language: str) -> bytes:
    """`{"error": {…, "request_id", "type"}}`: one form for all doors; clients of OpenAI's API find `message`, `code` and `type` in it."""
    wire = error.to_wire(language)
    more = {"request_id": request_id, "type": error_type(error)}
    body = msgspec.json.encode({"error": {**wire, **more}})
    if len(body) > 4096:  # Chinese takes three bytes a character
        short = {name: value[:300] if isinstance(value, str) else value for name, value in wire.items()}
        body = msgspec.json.encode({"error": {**short, **more}})
    return body


def flat_error_body(error: HanlinError, request_id: str, language: str) -> bytes:
    """`{"error": "…", "code", …}`: the same, where a protocol has the message itself under `error`."""
    told = msgspec.json.decode(error_body(error, request_id, language))["error"]
    return msgspec.json.encode({"error": told.pop("message"), **told})


def language_of(header: str | None) -> str:
    """`zh` or `en`, from Accept-Language: the one with the higher weight, English when in doubt."""
    if not header:
        return "en"
    weights = {"en": 0.0, "zh": 0.0}
    for part in header[:256].split(","):
        tag, _, rest = part.partition(";")
        name = tag.strip().lower().partition("-")[0]
        if name in weights:
            weights[name] = max(weights[name], _weight(rest))
    return "zh" if weights["zh"] > weights["en"] else "en"


def header_text(value: bytes | None) -> str | None:
    """A header's value as HTTP has it: bytes beyond ASCII are Latin-1. Source: RFC 9110, 5.5."""
    return None if value is None else value.decode("latin-1")


def request_id_of(header: str | None) -> str:
    """The caller's own request id when it is harmless, else a new one."""
    if header and _REQUEST_ID.fullmatch(header):
        return header
    return f"{_random.getrandbits(64):016x}"


def methods_of(request: Request) -> str:
    """What the request's address takes, for `Allow`: the methods of one path may stand in several routes."""
    probe = {**request.scope, "method": ""}
    found = {method for route in _flat(request.app.routes) if route.matches(probe)[0] != Match.NONE for method in route.methods or ()}
    return ", ".join(sorted(found)) or "GET, HEAD"


def _flat(routes: Sequence[BaseRoute]) -> Iterator[Route]:
    """All routes; FastAPI keeps included routers whole."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _flat(inner.routes)
        elif isinstance(route, Route):
            yield route


def _weight(text: str) -> float:
    found = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", text)
    if found is None:
        return 0.0 if text.strip() else 1.0  # a weight that is none is no wish
    return float(found.group(1))
