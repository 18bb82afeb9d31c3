"""W3C trace context: which trace a request belongs to, and the part of it that we are. Source: Trace Context Level 2, sections 3 and 4.

A context that is not exactly as the standard has it is no context: a new trace begins. Nothing is recorded here; the ids stand in the
logs, go to the journal, and come back in `traceresponse`, so that whoever keeps traces finds our lines by theirs.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass

_random = random.Random()  # noqa: S311 - names, not secrets
_PARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")
_KEY = rb"(?:[a-z0-9][a-z0-9_*/@-]{0,255})"
_MEMBER = re.compile(_KEY + rb"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_MAX_MEMBERS = 32
_MAX_STATE_BYTES = 512


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a request stands.

    Args:
        trace_id: of the whole, 32 hex digits.
        span_id: of this request, 16 hex digits.
        flags: `01` where the caller keeps this trace (sampled), else `00`.
        state: `tracestate`, as the caller sent it; empty where there was none or it was not well formed.
    """

    trace_id: str
    span_id: str
    flags: str = "00"
    state: str = ""

    @property
    def header(self) -> bytes:
        """The value of `traceresponse`; of `traceparent` for whoever is asked next."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}".encode()


def trace_of(headers: dict[bytes, bytes], lines: Iterable[tuple[bytes, bytes]]) -> Trace:
    """The caller's trace, or a new one.

    Args:
        headers: by lower-case name.
        lines: the same as they came, names lower case; a second `traceparent` makes none of them good.
    """
    parent = headers.get(b"traceparent")
    if parent is None:
        number = f"{_random.getrandbits(192):048x}"
        return Trace(number[:32], number[32:])
    found = _PARENT.fullmatch(parent)
    is_whole = found is not None and (found[4] is None or found[1] != b"00")
    if found is None or not is_whole or sum(name == b"traceparent" for name, _ in lines) != 1:
        number = f"{_random.getrandbits(192):048x}"
        return Trace(number[:32], number[32:])
    flags = "01" if int(found[3], 16) & 1 else "00"
    state = _state([value for name, value in lines if name == b"tracestate"]) if b"tracestate" in headers else ""
    return Trace(found[2].decode(), f"{_random.getrandbits(64):016x}", flags, state)


def _state(values: list[bytes]) -> str:
    """All lines as one; empty where they are not well formed, or too long to hand along."""
    whole = b",".join(values)
    members = [member.strip(b" \t") for member in whole.split(b",")]
    members = [member for member in members if member]
    keys = [member.partition(b"=")[0] for member in members]
    if len(whole) > _MAX_STATE_BYTES or len(members) > _MAX_MEMBERS or len(set(keys)) != len(keys):
        return ""
    return b",".join(members).decode() if all(_MEMBER.fullmatch(member) for member in members) else ""
