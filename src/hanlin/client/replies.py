"""Reads answers: values out of good ones, `hanlin.errors` out of bad ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TypeVar, cast

from pydantic import JsonValue, TypeAdapter, ValidationError

from hanlin import errors
from hanlin.client.steps import Broken, Reply
from hanlin.client.value import Value
from hanlin.client.values import Answer
from hanlin.client.values_answers import Prediction, Scored, as_prediction

V = TypeVar("V", bound=Value)

# What a status means when the body is not ours (a proxy answered).
_FAMILY_OF_STATUS: dict[int, type[errors.HanlinError]] = {
    400: errors.InvalidInput, 404: errors.NotFound, 409: errors.Conflict,
    413: errors.InvalidInput, 415: errors.InvalidInput, 422: errors.InvalidInput, 429: errors.Overloaded, 502: errors.NotReady,
    503: errors.NotReady, 504: errors.DeadlineExceeded,
}  # fmt: skip


def json_of(reply: Reply) -> JsonValue:
    """The body as JSON. Raises Internal (`unexpected_answer`)."""
    try:
        value: JsonValue = json.loads(reply.content)
    except (ValueError, RecursionError) as error:
        raise errors.Internal("unexpected_answer", status=reply.status) from error
    return value


def one(model: type[V]) -> Callable[[Reply], V]:
    """A reader of one value."""

    def parse(reply: Reply) -> V:
        try:
            return model.model_validate_json(reply.content)
        except ValidationError as error:
            raise errors.Internal("unexpected_answer", status=reply.status, details=str(error)[:500]) from error

    return parse


def many(model: type[V], noun: str) -> Callable[[Reply], list[V]]:
    """A reader of `{noun: [value, …]}` (a bare list is understood too)."""

    def parse(reply: Reply) -> list[V]:
        body = json_of(reply)
        rows = body.get(noun) if isinstance(body, dict) else body
        if not isinstance(rows, list):
            raise errors.Internal("unexpected_answer", status=reply.status)
        try:
            return [model.model_validate(row) for row in rows]
        except ValidationError as error:
            raise errors.Internal("unexpected_answer", status=reply.status, details=str(error)[:500]) from error

    return parse


@cache
def _rows_of_scored() -> TypeAdapter[list[list[Scored]]]:
    """Reads most answers in one go; made at the first, for it takes a while."""
    return TypeAdapter(list[list[Scored]])


def predictions(reply: Reply) -> list[Prediction]:
    """`[[{"label", "score"}, …], …]`, one Prediction a text; a single text's flat form gives one."""
    with suppress(ValidationError):
        return list(map(Prediction, _rows_of_scored().validate_json(reply.content)))
    body = json_of(reply)
    try:
        if not isinstance(body, list):
            raise TypeError
        return [as_prediction(body)]
    except (ValidationError, TypeError) as error:
        raise errors.Internal("unexpected_answer", status=reply.status) from error


def answer(reply: Reply) -> Answer:
    """An inference answer with what its headers say."""
    headers = reply.headers
    try:
        return Answer(
            value=json_of(reply),
            model=headers.get("x-hanlin-model", ""),
            truncated=tuple(map(int, _list(headers.get("x-hanlin-truncated")))),
            windows={
                int(index): int(count) for index, _, count in (part.partition("=") for part in _list(headers.get("x-hanlin-windows")))
            },
            times_ms=times_of(headers.get("server-timing", "")),
            is_cached=headers.get("x-hanlin-cache") == "hit",
        )
    except ValueError as error:
        raise errors.Internal("unexpected_answer", status=reply.status) from error


def marked(found: list[Prediction], reply: Reply) -> list[Prediction]:
    """The predictions, each told what was done to its text."""
    for index in _list(reply.headers.get("x-hanlin-truncated")):
        found[int(index)].is_truncated = True
    for part in _list(reply.headers.get("x-hanlin-windows")):
        index, _, count = part.partition("=")
        found[int(index)].num_windows = int(count)
    return found


def times_of(header: str) -> dict[str, float]:
    """Milliseconds by name from a Server-Timing header. Raises ValueError."""
    parts = (part.strip().partition(";dur=") for part in _list(header))
    return {name: float(value) for name, _, value in parts if value}


def _list(header: str | None) -> list[str]:
    return header.split(",") if header else []


def vectors(reply: Reply, *, count: int) -> list[list[float]]:
    """`[[number, …], …]`, one list a text."""
    body = json_of(reply)
    if not isinstance(body, list) or len(body) != count or not all(map(_is_vector, body)):
        raise errors.Internal("unexpected_answer", status=reply.status)
    return cast("list[list[float]]", body)


def _is_vector(row: JsonValue) -> bool:
    """By its first number: an answer may have millions."""
    return isinstance(row, list) and (not row or isinstance(row[0], float | int))


def lists(reply: Reply, model: type[V], *, count: int) -> list[list[V]]:
    """`[[value, …], …]`, one list a text."""
    body = json_of(reply)
    if not isinstance(body, list) or len(body) != count or not all(isinstance(row, list) for row in body):
        raise errors.Internal("unexpected_answer", status=reply.status)
    try:
        return [[model.model_validate(item) for item in row] for row in cast("list[list[JsonValue]]", body)]
    except ValidationError as error:
        raise errors.Internal("unexpected_answer", status=reply.status, details=str(error)[:500]) from error


def nothing(_reply: Reply) -> None:
    """The body does not matter."""


def text(reply: Reply) -> str:
    """The body as text."""
    return reply.content.decode("utf-8", "replace")


def error_of(outcome: Reply | Broken, *, url: str, now_s: float | None = None) -> errors.HanlinError:
    """The error that a bad outcome means, with the server's own words where it gave some. `now_s`: Unix time, the clock's if None."""
    if isinstance(outcome, Broken):
        if outcome.kind == "connect":
            return errors.NotReady("server_unreachable", url=url, details=outcome.words)
        if outcome.kind == "timeout":
            return errors.DeadlineExceeded("answer_too_late", details=outcome.words)
        return errors.NotReady("connection_cut", details=outcome.words)
    retry_after_s = _retry_after(outcome.headers.get("retry-after", ""), now_s)
    wire = _wire_of(outcome)
    if wire is None:
        error = _bare(outcome.status)
        error.retry_after_s = retry_after_s
    else:
        error = errors.from_wire(wire)
        error.retry_after_s = retry_after_s if error.retry_after_s is None else error.retry_after_s
    request_id = wire.get("request_id") if wire else outcome.headers.get("x-request-id")
    if isinstance(request_id, str):
        error.params["request_id"] = request_id[:128]
    return error


def _bare(status: int) -> errors.HanlinError:
    """The error of an answer without our body: one to HEAD, or a proxy's."""
    if status == 401:
        return errors.Unauthenticated("key_refused")
    if status == 403:
        return errors.PermissionDenied("key_may_not")
    return _FAMILY_OF_STATUS.get(status, errors.Internal)("unexpected_answer", status=status)


def _wire_of(reply: Reply) -> dict[str, errors.Param] | None:
    try:
        body = json.loads(reply.content)
    except (ValueError, RecursionError):
        return None
    wire = body.get("error") if isinstance(body, dict) else None
    if not isinstance(wire, dict) or not isinstance(wire.get("code"), str):
        return None
    wire.setdefault("family", _bare(reply.status).family)
    return {name: value for name, value in wire.items() if value is None or isinstance(value, str | int | float | bool)}


def _retry_after(value: str, now_s: float | None) -> float | None:
    """Seconds of a Retry-After header: a number, or a date, as proxies send it."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = max(0.0, parsedate_to_datetime(value).timestamp() - (time.time() if now_s is None else now_s))
        except (ValueError, OverflowError):
            return None
    return seconds if 0 <= seconds < 86_400 else None
