"""A call on its way to a worker: what is sent, until when, and what of its answer was told already. Belongs to an event loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from hanlin.serving.channel import Channel
from hanlin.serving.wire import Call, CallOperation, Lane, Part
from hanlin.types import JsonObject, JsonValue, LongText


@dataclass(frozen=True, slots=True)
class Request:
    """A call as the dataplane hands it over. `key` shares the queue fairly, `language` is for refusals.

    `on_part` is given the parts of a call that is to be streamed, before its answer; it must not raise.
    """

    inputs: JsonValue
    parameters: JsonObject
    timeout_s: float
    key: str = ""
    lane: Lane = "interactive"
    language: str = "en"
    operation: CallOperation = "answer"
    on_part: Callable[[Part], None] | None = None


class Sending:
    """One request from its beginning to its end, to however many workers it is sent.

    Args:
        now_s: monotonic seconds.

    Attributes:
        content: as frames carry it.
        deadline_s: on the clock of `now_s`.
        has_begun: whether a part was told, which cannot be taken back.
        hear: for the parts; None where the call is not streamed.
    """

    __slots__ = ("_request", "content", "deadline_s", "has_begun", "hear")

    def __init__(self, request: Request, now_s: float) -> None:
        self._request = request
        self.content: bytes = msgspec.msgpack.encode([request.inputs, request.parameters])
        self.deadline_s = now_s + request.timeout_s
        self.has_begun = False
        self.hear = None if request.on_part is None else self._hear

    @property
    def size_bytes(self) -> int:
        """Of the content: what routing balances."""
        return len(self.content)

    def left_s(self, now_s: float) -> float:
        """Until its deadline."""
        return self.deadline_s - now_s

    def call(self, channel: Channel, left_s: float, *, long_text: LongText, is_suspect: bool = False) -> Call:
        """A frame for this connection."""
        request = self._request
        return Call(
            channel.next_id(), msgspec.Raw(self.content), left_s, request.key, request.lane, request.language, is_suspect, long_text,
            request.operation, request.on_part is not None,
        )  # fmt: skip

    def _hear(self, part: Part) -> None:
        self.has_begun = True
        assert self._request.on_part is not None, "it is streamed"
        self._request.on_part(part)
