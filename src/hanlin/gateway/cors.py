"""Which web pages of other origins may read answers, by the setting `cors_origins`. Source: the Fetch standard, "CORS protocol".

Origins are compared whole. Keys travel in `Authorization`, so credentials (cookies) are never allowed, and no answer says `*`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_EXPOSED = (
    b"content-language, ratelimit, ratelimit-policy, retry-after, server-timing, traceresponse, x-hanlin-cache, x-hanlin-model, "
    b"x-hanlin-truncated, x-hanlin-windows, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, "
    b"x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, x-ratelimit-reset-tokens, x-request-id"
)
_METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE")
_NAMES = re.compile(rb"[A-Za-z0-9-]{1,64}(?:[ \t]*,[ \t]*[A-Za-z0-9-]{1,64}){0,63}")
_REMEMBERED_S = b"600"  # what a browser may keep of an answer to a preflight
_VARY = (b"vary", b"Origin")

Headers = list[tuple[bytes, bytes]]


class Cors:
    """The rule for one server.

    Args:
        origins: such as `https://app.example:8443`.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def headers(self, origin: bytes | None) -> Headers:
        """What any answer says: to a page of an allowed origin, that it may read it."""
        if origin not in self._origins or origin is None:
            return [_VARY]
        return [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED), _VARY]

    def preflight(self, headers: dict[bytes, bytes]) -> Headers | None:
        """The answer to a browser that asks whether it may call; None where it asks nothing of the kind, or may not.

        Whatever header names it wants are allowed: clients bring their own (`x-stainless-…`), and what a call may say is checked there.
        """
        origin, method = headers.get(b"origin"), headers.get(b"access-control-request-method")
        names = headers.get(b"access-control-request-headers", b"")
        if origin not in self._origins or origin is None or method not in _METHODS or (names and not _NAMES.fullmatch(names)):
            return None
        allowed = [(b"access-control-allow-origin", origin), (b"access-control-allow-methods", b", ".join(_METHODS)), _VARY]
        if names:
            allowed.append((b"access-control-allow-headers", names))
        return [*allowed, (b"access-control-max-age", _REMEMBERED_S)]
