"""When a call is sent again, and what other programs' answers mean."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from hanlin import errors
from hanlin.client import calls
from hanlin.client.flows import FIRST_PAUSE_S, MAX_PAUSE_S, Policy, exchange
from hanlin.client.replies import error_of
from hanlin.client.steps import Broken, Reply, Send, Sleep


def sent(call, outcomes, *, jitter: float = 0.5, timeout_s: float = 30.0) -> tuple[list[float], errors.HanlinError | None]:
    """The pauses between attempts when these are the outcomes, and the error at the end."""
    now_s = [0.0]
    flow = exchange(call, Policy("http://x", timeout_s, 3, jitter=lambda: jitter, clock=lambda: now_s[0]))
    pauses, step, remaining = [], next(flow), list(outcomes)
    try:
        while True:
            if isinstance(step, Sleep):
                pauses.append(step.seconds)
                now_s[0] += step.seconds
                step = flow.send(None)
            else:
                assert isinstance(step, Send)
                step = flow.send(remaining.pop(0))
    except StopIteration:
        return pauses, None
    except errors.HanlinError as error:
        return pauses, error


BUSY = Reply(429, {"retry-after": "2"}, b'{"error": {"code": "queue_full", "family": "Overloaded", "message": "full"}}')
STARTING = Reply(503, {}, b'{"error": {"code": "endpoint_starting", "family": "NotReady", "message": "starting"}}')
GOOD = Reply(200, {}, b'{"jobs": []}')
ASKING = calls.list_jobs(state=None, limit=1)
CHANGING = calls.publish_version("m", 1)


def test_pauses_are_drawn_from_all_of_a_growing_span() -> None:
    assert sent(ASKING, [STARTING] * 3 + [GOOD], jitter=1.0)[0] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert sent(ASKING, [STARTING] * 3 + [GOOD], jitter=0.0)[0] == [0.0, 0.0, 0.0]
    assert Policy("x", jitter=lambda: 1.0).pause_s(20, errors.NotReady("server_unreachable")) == MAX_PAUSE_S


def test_retry_after_is_kept_and_spread() -> None:
    assert sent(ASKING, [BUSY, GOOD], jitter=0.0)[0] == [2.0]
    assert sent(ASKING, [BUSY, GOOD], jitter=1.0)[0] == [2.0 + FIRST_PAUSE_S]


def test_no_pause_outlasts_the_deadline() -> None:
    pauses, error = sent(ASKING, [BUSY], timeout_s=1.5)
    assert pauses == []
    assert isinstance(error, errors.Overloaded)


@pytest.mark.parametrize(
    ("outcome", "asks_again", "changes_again"),
    [
        (BUSY, True, True),
        (STARTING, True, True),
        (Broken("connect"), True, True),
        (Broken("cut"), True, False),
        (Broken("timeout"), False, False),
        (Reply(503, {}, b"upstream connect error or disconnect/reset before headers"), True, False),
        (Reply(502, {}, b"<html>"), True, False),
        (Reply(500, {}, b'{"error": {"code": "internal", "family": "Internal", "message": "no"}}'), False, False),
        (Reply(429, {}, b'{"error": {"code": "quota_used", "family": "QuotaExceeded", "message": "no"}}'), False, False),
        (Reply(404, {}, b""), False, False),
    ],
)
def test_only_what_does_no_harm_is_sent_again(outcome, asks_again: bool, changes_again: bool) -> None:
    for call, again in ((ASKING, asks_again), (CHANGING, changes_again)):
        _, error = sent(call, [outcome, GOOD])
        assert (error is None) == again


@pytest.mark.parametrize(
    ("status", "family"),
    [(400, "InvalidInput"), (401, "Unauthenticated"), (403, "PermissionDenied"), (404, "NotFound"), (413, "InvalidInput"),
     (418, "Internal"), (429, "Overloaded"), (500, "Internal"), (502, "NotReady"), (503, "NotReady"), (504, "DeadlineExceeded")],
)  # fmt: skip
@pytest.mark.parametrize(
    "body", [b"<html>nginx</html>", b"", b"[]", b'{"error": "no healthy upstream"}', b'{"error": {"code": 503}}', b"\xff\xfe"]
)
def test_what_proxies_answer_becomes_our_errors(status: int, family: str, body: bytes) -> None:
    error = error_of(Reply(status, {"retry-after": "7", "x-request-id": "r-1"}, body), url="http://x")
    assert (error.family, error.retry_after_s, error.params["request_id"]) == (family, 7.0, "r-1")
    assert error.message


def test_retry_after_may_be_a_date() -> None:
    now_s = 1_900_000_000.0

    def seconds_of(header: str) -> float | None:
        return error_of(Reply(503, {"retry-after": header}), url="http://x", now_s=now_s).retry_after_s

    assert seconds_of(formatdate(now_s + 60, usegmt=True)) == 60.0
    assert seconds_of(formatdate(now_s - 60, usegmt=True)) == 0.0
    assert seconds_of("1.5") == 1.5


@pytest.mark.parametrize("header", ["", "soon", "-1", "nan", "inf", "99999999", "Wed, 99 Foo 2026 00:00:00 GMT"])
def test_a_retry_after_that_says_nothing_is_ignored(header: str) -> None:
    assert error_of(Reply(503, {"retry-after": header}), url="http://x").retry_after_s is None
