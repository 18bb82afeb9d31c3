"""Refusals for a flood: while a worker has too much to do, what it would refuse of the same caller is refused before it is parsed.

A worker's refusal half-closes the valve for its caller and address, until there was none for a second: of the requests that come, a few
more pass than were answered lately, so that the worker has enough to choose from, and the rest are answered here. A request that has come
whole, was read strictly by the guard and begins with the very same request line and key gets the same refusal under an id of its
own, for a quarter of what the whole gateway costs: a flood leaves the processor to those who are answered. Everything else takes
the usual way. Belongs to one event loop.
"""

from __future__ import annotations

import http
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hanlin.errors import HanlinError, Overloaded
from hanlin.gateway.responses import ErrorBody, error_body, error_headers, header_text, language_of, request_id_of
from hanlin.gateway.status import http_status
from hanlin.gateway.trace import trace_of

STRAINED_S = 1.0  # since the last refusal of a worker
HEADROOM = 1.25  # calls that pass, of those that were answered lately
FIRST_RATE = 200.0  # calls/s that pass until it is known how many are answered
BURST_S = 0.02  # calls that may pass at once, as a time at the rate, and at least
MIN_BURST = 8.0
_WINDOW_S = 0.05  # over which answers are counted
_MEMORY = 0.5  # weight of the windows before
_MAX_CALLERS = 1024
_MAX_KEY_BYTES = 512  # of the line and the key of each: addresses and keys of ours are shorter
_ID, _TRACE = "0" * 16, "t" * 55  # stand for the request's id and its trace while the answer is written
_HEADER = re.compile(rb"(?im)^(authorization|accept-language|x-request-id|connection|expect|origin|traceparent|content-type|"
                     rb"content-encoding|x-timeout-s):([^\r\n]*+)")  # fmt: skip
_PLAIN = ({b"content-type": b"application/json"}, {b"content-type": b"application/json", b"connection": b"keep-alive"})


@dataclass(slots=True)
class _Caller:
    """One who asks too much: when it is over, what is said, and how many calls a second pass."""

    until_s: float
    error: HanlinError
    route: str
    tokens_at_s: float
    window_s: float
    refuse: ErrorBody = error_body
    rate: float = FIRST_RATE
    tokens: float = 0.0
    num_answered: int = 0
    answers: dict[str, tuple[bytes, ...]] = field(default_factory=dict)

    def passes(self, now_s: float) -> bool:
        """Whether one more call does, which then counts."""
        most = max(MIN_BURST, BURST_S * self.rate)
        self.tokens = min(most, self.tokens + HEADROOM * self.rate * (now_s - self.tokens_at_s))
        self.tokens_at_s = now_s
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def answered(self, now_s: float) -> None:
        """One of its calls was."""
        self.num_answered += 1
        if (past_s := now_s - self.window_s) >= _WINDOW_S:
            self.rate = _MEMORY * self.rate + (1 - _MEMORY) * self.num_answered / past_s
            self.window_s, self.num_answered = now_s, 0


class Valve:
    """Who is refused at once, and how.

    Args:
        count: told the id and the route of each request that is refused here.
        is_off: whether all requests take the usual way at present.
        clock: monotonic seconds.
    """

    def __init__(
        self, count: Callable[[str, str], None], *, is_off: Callable[[], bool] = lambda: False, clock: Callable[[], float] = time.monotonic
    ) -> None:  # fmt: skip
        self._count = count
        self._is_off = is_off
        self._clock = clock
        self._callers: dict[tuple[bytes, bytes], _Caller] = {}

    @property
    def is_at_work(self) -> bool:
        """Whether there is anyone to be refused."""
        return bool(self._callers)

    def close(
        self, target: bytes, headers: Iterable[tuple[bytes, bytes]], error: HanlinError, route: str, *, refuse: ErrorBody = error_body
    ) -> None:  # fmt: skip
        """A worker has refused a call to `target`, path and query, for its caller asks too much; names of `headers` are lower case.

        Args:
            route: its label in metrics and logs.
            refuse: the form of an error there.
        """
        key, now_s = _key(target, headers), self._clock()
        if key is None:
            return
        if (caller := self._callers.get(key)) is not None:
            caller.until_s = now_s + STRAINED_S
            return
        if len(self._callers) >= _MAX_CALLERS:
            self._callers = {other: caller for other, caller in self._callers.items() if now_s < caller.until_s}
        if len(self._callers) >= _MAX_CALLERS:
            self._callers.clear()
        told = Overloaded(error.code, retry_after_s=error.retry_after_s)  # a worker's own has the words of one language
        self._callers[key] = _Caller(now_s + STRAINED_S, told, route, now_s, now_s, refuse)

    def open(self, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """This caller is refused for good, its key or the endpoint has gone: it is to hear that; arguments as for `close`."""
        if (key := _key(target, headers)) is not None:
            self._callers.pop(key, None)

    def answered(self, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """A call was answered; arguments as for `close`."""
        key, now_s = _key(target, headers), self._clock()
        if key is None or (caller := self._callers.get(key)) is None:
            return
        if now_s >= caller.until_s:
            del self._callers[key]  # it has calmed down
        else:
            caller.answered(now_s)

    def refusal(self, head: bytes, default_headers: bytes) -> bytes | None:
        """The whole answer to a request with this head, or None when it is to be looked at."""
        if not self._callers:
            return None
        line, _, rest = head.partition(b"\r\n")
        found = {name.lower(): value.strip(b" \t") for name, value in _HEADER.findall(rest)}
        key = line, found.pop(b"authorization", b"")
        if (caller := self._callers.get(key)) is None:
            return None
        now_s = self._clock()
        if now_s >= caller.until_s:
            del self._callers[key]
            return None
        if caller.passes(now_s):
            return None
        language = language_of(header_text(found.pop(b"accept-language", None)))
        parents = [(b"traceparent", found.pop(b"traceparent"))] if b"traceparent" in found else []
        if found not in _PLAIN or self._is_off():  # asks for something of its own
            return None
        if (answer := caller.answers.get(language)) is None:
            answer = caller.answers[language] = _answer(caller.error, language, caller.refuse)
        request_id = request_id_of(None)
        self._count(request_id, caller.route)
        status, headers, body = answer
        trace = trace_of(dict(parents), parents).header
        return b"".join(
            (status, default_headers, (headers + body).replace(_ID.encode(), request_id.encode()).replace(_TRACE.encode(), trace))
        )


def _key(target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes] | None:
    """None for one who could come under ever new names: with a query, escapes, two keys, or more than a key holds."""
    keys = [value for name, value in headers if name == b"authorization"]
    if len(keys) != 1 or b"?" in target or b"%" in target or len(target) + len(keys[0]) > _MAX_KEY_BYTES:
        return None
    return b"POST %s HTTP/1.1" % target, keys[0]


def _answer(error: HanlinError, language: str, refuse: ErrorBody) -> tuple[bytes, ...]:
    """Status line; other headers, and body, with `_ID` in them."""
    body = refuse(error, _ID, language)
    headers = error_headers(error, language) | {"x-request-id": _ID, "traceresponse": _TRACE, "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    status = http.HTTPStatus(http_status(error))
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode(), lines.encode() + b"\r\n", body
