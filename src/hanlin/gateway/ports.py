"""What the dataplane asks of rooms that may not be there: who calls, whether they may, what to hide, what to write down.

Until plans, privacy and the ledger are built, pass-throughs stand behind quota, mask and journal.
"""

from __future__ import annotations

from typing import Protocol

from hanlin.types import JsonValue, Principal


class Authenticator(Protocol):
    """From an `Authorization` header to a principal. Called on the event loop: must answer from memory almost always."""

    def authenticate(self, header: str | None) -> Principal:
        """The caller. Raises Unauthenticated, with the same words whatever was wrong."""
        ...


class Quota(Protocol):
    """Leases units of a plan."""

    def reserve(self, principal: Principal, endpoint: str) -> None:
        """Raises QuotaExceeded."""
        ...

    def settle(self, principal: Principal, endpoint: str, *, tokens: int, is_answered: bool) -> None:
        """Turn the reserve into use, or give it back."""
        ...


class Mask(Protocol):
    """Hides private text from the model and from everything behind it."""

    def mask(self, principal: Principal, endpoint: str, inputs: JsonValue) -> JsonValue:
        """Inputs as the worker may see them."""
        ...

    def unmask(self, principal: Principal, endpoint: str, body: bytes) -> bytes:
        """The answer as the caller may see it."""
        ...


class Journal(Protocol):
    """Writes use down before the answer leaves."""

    def record(self, principal: Principal, endpoint: str, *, request_id: str, items: int, tokens: int, is_cached: bool) -> None:
        """`is_cached`: no engine ran for it. Returns once the record is safe."""
        ...


class NoQuota:
    """Everyone may do everything."""

    def reserve(self, principal: Principal, endpoint: str) -> None:
        """See `Quota`."""

    def settle(self, principal: Principal, endpoint: str, *, tokens: int, is_answered: bool) -> None:
        """See `Quota`."""


class NoMask:
    """Text passes as it is."""

    def mask(self, principal: Principal, endpoint: str, inputs: JsonValue) -> JsonValue:
        """See `Mask`."""
        return inputs

    def unmask(self, principal: Principal, endpoint: str, body: bytes) -> bytes:
        """See `Mask`."""
        return body


class NoJournal:
    """Nothing is written down."""

    def record(self, principal: Principal, endpoint: str, *, request_id: str, items: int, tokens: int, is_cached: bool) -> None:
        """See `Journal`."""
