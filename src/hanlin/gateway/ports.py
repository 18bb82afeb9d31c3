"""What the dataplane asks of rooms that may not be there: who calls, whether they may, what to hide, what to write down.

Until plans, privacy and the ledger are built, pass-throughs stand behind quota, mask and journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from hanlin.errors import NotFound
from hanlin.serving.wire import Part
from hanlin.types import JsonObject, JsonValue, Principal, shorten


class Authenticator(Protocol):
    """From an `Authorization` header to a principal. Called on the event loop: must answer from memory almost always."""

    def authenticate(self, header: str | None) -> Principal:
        """The caller. Raises Unauthenticated, with the same words whatever was wrong."""
        ...


@dataclass(frozen=True, slots=True)
class Limit:
    """What a plan allows in each window, and what is left of it.

    Args:
        name: of the rule; plain ASCII without quotes.
        unit: what is counted.
        window_s: length of a window, whole seconds.
        reset_s: until the next one begins.
    """

    name: str
    unit: Literal["requests", "tokens"]
    quota: int
    remaining: int
    window_s: int
    reset_s: int


class Quota(Protocol):
    """Leases units of a plan."""

    def limits(self, principal: Principal, endpoint: str) -> Sequence[Limit]:
        """What the caller is told of its plan with an answer; none where nothing is limited."""
        ...

    def reserve(self, principal: Principal, endpoint: str) -> None:
        """Raises QuotaExceeded."""
        ...

    def settle(self, principal: Principal, endpoint: str, *, tokens: int, is_answered: bool) -> None:
        """Turn the reserve into use, or give it back.

        Args:
            tokens: that were read and written; of a call that was broken off, those that were told before.
        """
        ...


class Unmasking(Protocol):
    """Shows what was hidden in an answer that comes in parts. Of one call; holds back what may be the beginning of something hidden."""

    def push(self, part: Part) -> Part | None:
        """What may be told by now of the part's row; None: nothing yet. Raises what ends the call: nothing of it is told then."""
        ...

    def end(self) -> Sequence[Part]:
        """What is still held back: no more parts come."""
        ...


class Mask(Protocol):
    """Hides private text from the model and from everything behind it."""

    def mask(self, principal: Principal, endpoint: str, inputs: JsonValue) -> JsonValue:
        """Inputs as the worker may see them."""
        ...

    def unmask(self, principal: Principal, endpoint: str, body: bytes) -> bytes:
        """The answer as the caller may see it."""
        ...

    def stream(self, principal: Principal, endpoint: str) -> Unmasking | None:
        """What shows the hidden in the parts of a call; None: they may be told as they are."""
        ...


class Journal(Protocol):
    """Writes use down before the answer leaves."""

    def record(
        self, principal: Principal, endpoint: str, *, request_id: str, trace_id: str, items: int, tokens: int, written: int,
        is_cached: bool, is_broken: bool = False,
    ) -> None:  # fmt: skip
        """Returns once the record is safe.

        Args:
            trace_id: of the caller's trace, empty outside of one.
            tokens: that were read; unknown of a call that was broken off, and 0.
            written: tokens that were written; of a call that was broken off, those that were told.
            is_cached: no engine ran for it.
            is_broken: a streamed call that failed, or was given up, after parts of it had been told; `items`: those with parts.
        """
        ...


class DocumentFiles(Protocol):
    """Sets of documents that teams keep. Called beside the event loop."""

    def find(self, principal: Principal, file_id: str) -> tuple[str, int]:
        """Digest and size of a set that the caller's team keeps. Raises NotFound."""
        ...

    def read(self, digest: str) -> bytes:
        """The bytes of a set. Raises DataCorrupt."""
        ...


class Turn(Protocol):
    """A response that is stored, and the items that its call sent."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def items(self) -> Sequence[JsonObject]:
        """What its call sent."""
        ...

    @property
    def answer(self) -> JsonObject:
        """What it was answered."""
        ...


class Responses(Protocol):
    """Responses that teams may go on from. Called beside the event loop."""

    def check(self, items: Sequence[JsonObject], instructions: str) -> bool:
        """Whether anything is stored. Raises InvalidInput for items that are too large to be."""
        ...

    def talk(self, principal: Principal, response_id: str) -> Sequence[Turn]:
        """The turns of the caller's team up to a response, oldest first. Raises NotFound; InvalidInput for more than a body may hold."""
        ...

    def keep(self, principal: Principal, answer: JsonObject, items: Sequence[JsonObject], turns: Sequence[str]) -> None:
        """Returns once the answer is stored behind those turns. Raises NotReady; NotFound when the team is gone."""
        ...


class NoResponses:
    """None are stored."""

    def check(self, items: Sequence[JsonObject], instructions: str) -> bool:
        """See `Responses`."""
        return False

    def talk(self, principal: Principal, response_id: str) -> Sequence[Turn]:
        """See `Responses`."""
        raise NotFound("not_found", kind="response", name=shorten(response_id))

    def keep(self, principal: Principal, answer: JsonObject, items: Sequence[JsonObject], turns: Sequence[str]) -> None:
        """See `Responses`."""


class NoDocuments:
    """No sets are kept."""

    def find(self, principal: Principal, file_id: str) -> tuple[str, int]:
        """See `DocumentFiles`."""
        raise NotFound("not_found", kind="file", name=shorten(file_id))

    def read(self, digest: str) -> bytes:
        """See `DocumentFiles`."""
        raise NotFound("not_found", kind="file", name="")


class NoQuota:
    """Everyone may do everything."""

    def limits(self, principal: Principal, endpoint: str) -> Sequence[Limit]:
        """See `Quota`."""
        return ()

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

    def stream(self, principal: Principal, endpoint: str) -> Unmasking | None:
        """See `Mask`."""
        return None


class NoJournal:
    """Nothing is written down."""

    def record(
        self, principal: Principal, endpoint: str, *, request_id: str, trace_id: str, items: int, tokens: int, written: int,
        is_cached: bool, is_broken: bool = False,
    ) -> None:  # fmt: skip
        """See `Journal`."""
