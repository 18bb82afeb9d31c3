"""What answers tell of a plan: nothing where nothing is limited, else the draft's headers and those that OpenAI's clients read."""

from __future__ import annotations

from hanlin.errors import Overloaded
from hanlin.gateway.ports import Limit, NoQuota
from hanlin.gateway.rate_limits import rate_limit_headers
from hanlin.gateway.responses import error_headers
from hanlin.types import KeyId, Principal, TeamId

LIMITS = (Limit("calls", "requests", 100, 97, 60, 12), Limit("tokens", "tokens", 50_000, 0, 3600, 7))


def test_a_plan_is_told() -> None:
    assert dict(rate_limit_headers(LIMITS)) == {
        b"ratelimit-policy": b'"calls";q=100;w=60, "tokens";q=50000;w=3600;qu="tokens"',
        b"ratelimit": b'"calls";r=97;t=12, "tokens";r=0;t=7',
        b"x-ratelimit-limit-requests": b"100", b"x-ratelimit-remaining-requests": b"97", b"x-ratelimit-reset-requests": b"12s",
        b"x-ratelimit-limit-tokens": b"50000", b"x-ratelimit-remaining-tokens": b"0", b"x-ratelimit-reset-tokens": b"7s",
    }  # fmt: skip


def test_no_plan_tells_nothing(stack) -> None:
    nobody = Principal(TeamId("default"), KeyId("any"), frozenset({"predict"}))
    assert rate_limit_headers(NoQuota().limits(nobody, "any")) == []
    assert not [name for name in stack.post("good").headers if "ratelimit" in name]


def test_who_is_refused_for_others_in_flight_hears_the_bound() -> None:
    headers = error_headers(Overloaded("too_many_calls", retry_after_s=1.0, limit=1024), "en")
    assert headers["ratelimit-policy"] == '"in-flight";q=1024;qu="concurrent-requests"'
    assert (headers["ratelimit"], headers["retry-after"]) == ('"in-flight";r=0', "1")
    assert "ratelimit" not in error_headers(Overloaded("endpoint_overloaded", retry_after_s=1.0), "en")
