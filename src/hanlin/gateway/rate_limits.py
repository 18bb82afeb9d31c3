"""What is left of a caller's quota, as headers: `RateLimit-Policy` and `RateLimit`, and the names that OpenAI's clients read.

Source: draft-ietf-httpapi-ratelimit-headers-10; OpenAI's "Rate limits in headers". Only what is true is told: without a plan that limits
(`Quota.limits`) there is nothing, and the bound of calls in flight is told to those whom it refuses, for it is not one caller's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hanlin.gateway.ports import Limit

_UNITS = {"requests": "requests", "tokens": "tokens"}
_QUOTED = {"requests": "", "tokens": ';qu="tokens"'}


def rate_limit_headers(limits: Sequence[Limit]) -> list[tuple[bytes, bytes]]:
    """For a good answer; names in lower case."""
    if not limits:
        return []
    policies = ", ".join(f'"{one.name}";q={one.quota};w={one.window_s}{_QUOTED[one.unit]}' for one in limits)
    left = ", ".join(f'"{one.name}";r={one.remaining};t={one.reset_s}' for one in limits)
    found = [(b"ratelimit-policy", policies.encode()), (b"ratelimit", left.encode())]
    for one in limits:
        unit = one.unit.encode()
        found += [
            (b"x-ratelimit-limit-" + unit, b"%d" % one.quota),
            (b"x-ratelimit-remaining-" + unit, b"%d" % one.remaining),
            (b"x-ratelimit-reset-" + unit, b"%ds" % one.reset_s),
        ]
    return found


def in_flight_headers(limit: int) -> dict[str, str]:
    """For a call that was refused because `limit` others are in flight in this gateway."""
    return {"ratelimit-policy": f'"in-flight";q={limit};qu="concurrent-requests"', "ratelimit": '"in-flight";r=0'}
