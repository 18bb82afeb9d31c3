"""What a protocol is to the gateway: its addresses, how a body becomes a call of the dataplane, how an outcome becomes its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from starlette.responses import Response

from hanlin.errors import HanlinError
from hanlin.gateway.dataplane import Dataplane, Outcome
from hanlin.gateway.operation import Told
from hanlin.gateway.responses import ErrorBody, error_body
from hanlin.serving.wire import CallOperation, Part
from hanlin.types import JsonObject, JsonValue, Principal

NAME = "{endpoint}"  # in a path: the one part that is not fixed
VERSION = "{version}"  # in an alias: that of what the endpoint serves


class Framed(msgspec.Struct, frozen=True, gc=False):
    """An answer that is not plain JSON, with the headers that say so; their names are lower case."""

    body: bytes
    headers: list[tuple[bytes, bytes]]


Write = Callable[[Outcome], bytes | Framed]  # the protocol's answer


class Stream(Protocol):
    """A protocol's answer in parts: one object for each call, which may keep what it has told. Methods are called in this order, on one
    loop: `begin` once, `part` for each part, then `end` or `fail`, once. Before `begin` the call may fail as any other does.

    Attributes:
        headers: its header lines beside those that every stream has (`content-type: text/event-stream`, `cache-control: no-store`,
            `x-accel-buffering: no`), which it may replace; names in lower case.
    """

    headers: list[tuple[bytes, bytes]]

    def begin(self) -> bytes:
        """What comes before the first part; may be empty."""
        ...

    def part(self, part: Part) -> bytes:
        """Events of one part of one row. Parts tell all of an answer that can be told, each thing once."""
        ...

    def end(self, outcome: Outcome) -> bytes:
        """The last events, the protocol's end mark behind them."""
        ...

    def fail(self, error: HanlinError, request_id: str, language: str) -> bytes:
        """The protocol's error event: the stream has ended otherwise than was hoped, and has no end mark."""
        ...


class Memory(Protocol):
    """What a call goes on from and what is stored of it: one object for each call."""

    async def recall(self, dataplane: Dataplane, principal: Principal, ask: Ask) -> Ask:
        """The call with what was said before it. Raises HanlinError."""
        ...

    async def keep(self, dataplane: Dataplane, principal: Principal, outcome: Outcome) -> None:
        """Called once, when the call is answered, before the end of its answer leaves."""
        ...


class Ask(msgspec.Struct, frozen=True, gc=False):
    """A call as the dataplane takes it.

    Args:
        endpoint: empty: the default one for the task.
        task: what the endpoint must do; empty: whatever it does.
        write: the protocol's answer; None: the task's own JSON as it is.
        operation: what is asked: the model, or its tokenizer alone.
        check: given the task before the model runs, where it is known; raises InvalidInput.
        stream: how the answer is told in parts; None: as a whole, by `write`.
        memory: of calls that go on from others, or that others may go on from.
    """

    endpoint: str
    inputs: JsonValue
    parameters: JsonObject
    task: str = ""
    write: Write | None = None
    operation: CallOperation = "answer"
    check: Callable[[str], None] | None = None
    stream: Stream | None = None
    memory: Memory | None = None


Read = Callable[[bytes, str], Ask]  # of a body and the endpoint in the path; raises InvalidInput
ReadFramed = Callable[[bytes, str, Mapping[bytes, bytes]], Ask]  # the same, of headers too; their names are lower case
Show = Callable[[Dataplane, Principal, str], Response | Awaitable[Response]]  # for who asks and the endpoint in the path
Tell = Callable[[Dataplane], Response]
Act = Callable[[Dataplane, Principal, str, bytes], Awaitable[Response]]  # for who asks, of the endpoint in the path and a body; may raise


@dataclass(frozen=True, slots=True)
class Manner:
    """How a protocol speaks.

    Args:
        kinds: media types of the bodies it takes; empty: one that names none.
        refuse: its form of an error.
        key: the header that may hold a key, as it is, where there is no `authorization`; empty: none.
    """

    kinds: frozenset[bytes] = frozenset({b"application/json"})
    refuse: ErrorBody = error_body
    key: bytes = b""


PLAIN = Manner()


@dataclass(frozen=True, slots=True)
class Door:
    """One address of a protocol.

    Args:
        elsewhere: methods of this address that the control API answers.
        is_default: whether `show` tells of the default endpoint where the address names none.
        path: its address, also its label in metrics and logs; may hold `{endpoint}`.
        read: what POST asks for.
        show: what GET tells; raises HanlinError.
        read_framed: what POST asks for where headers say how the body is to be read.
        act: what POST does where it is no call of a model; raises HanlinError.
        tell: what GET tells anyone, with or without a key.
        alias: another address, which names the version too; a version that the endpoint does not serve is not found there.
        manner: how its protocol speaks.
        query: parameters behind the address that its clients send, and that change nothing here; all others are refused.
        post: what the API's description says of the call; due where there is `read`, `read_framed` or `act`.
        get: what it says of the look; due where there is `show` or `tell`.

    Attributes:
        is_named: whether the address names the endpoint; else the body does.
    """

    path: str
    read: Read | None = None
    show: Show | None = None
    read_framed: ReadFramed | None = None
    act: Act | None = None
    tell: Tell | None = None
    alias: str = ""
    manner: Manner = PLAIN
    post: Told | None = None
    get: Told | None = None
    is_default: bool = False
    elsewhere: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    is_named: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_named", NAME in self.path)

    @property
    def allowed(self) -> str:
        """Its methods, for `Allow`."""
        return ", ".join([*(["GET, HEAD"] if self.has_get else []), *(["POST"] if self.has_post else []), *self.elsewhere])

    @property
    def has_get(self) -> bool:
        """Whether it tells something."""
        return self.show is not None or self.tell is not None

    @property
    def has_post(self) -> bool:
        """Whether it takes calls or orders."""
        return self.read is not None or self.read_framed is not None or self.act is not None

    def takes(self, method: str) -> bool:
        """Whether it answers `method` itself; what the control API answers here is not among it."""
        return (method == "POST" and self.has_post) or (method in ("GET", "HEAD") and self.has_get)
