"""The steps of a conversation, free of input and output.

A *flow* is a generator that yields steps and is sent their outcomes; it holds all logic (retries, resuming, waiting).
A *driver* (`drivers.py`) performs the steps, blocking or on an event loop. So sync and async share every decision.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; header names are lower case. `content` is empty while a stream is open."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Broken:
    """No (whole) answer: never connected, out of time, or cut off."""

    kind: Literal["connect", "timeout", "cut"]
    words: str = ""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request and how its answer is read.

    Args:
        is_idempotent: whether sending it twice does no harm, so that a cut connection may be retried.
        accept: statuses of 400 and more that `parse` understands.
    """

    method: str
    path: str
    parse: Callable[[Reply], T]
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    is_idempotent: bool = True
    accept: frozenset[int] = frozenset()
    has_deadline_header: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request and receive the whole answer. Outcome: Reply or Broken.

    Args:
        idle_s: not None opens a stream: only the head of a good answer is received, the body comes by `Read`,
            and the longest silence allowed is this many seconds.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    content: bytes | None
    timeout_s: float
    idle_s: float | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """Receive the next piece of the open stream. Outcome: bytes (empty at the end) or Broken."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Do nothing for a while. Outcome: None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Run a blocking function (files, hashing), off the event loop if there is one. Outcome: None."""

    function: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand an event to whoever listens; a flow emits events of one type. Outcome: None."""

    event: object


Step = Send | Read | Sleep | Work | Emit
Outcome = Reply | Broken | bytes | None
Flow = Generator[Step, Outcome, T]


def send(step: Send) -> Flow[Reply | Broken]:
    """Perform `step` and give its outcome its type."""
    outcome = yield step
    assert isinstance(outcome, Reply | Broken)
    return outcome


def read() -> Flow[bytes | Broken]:
    """Receive the next piece of the open stream."""
    outcome = yield Read()
    assert isinstance(outcome, bytes | Broken)
    return outcome


def work(function: Callable[[], T]) -> Flow[T]:
    """Run blocking `function` and return its value."""
    results: list[T] = []
    yield Work(lambda: results.append(function()))
    return results[0]
