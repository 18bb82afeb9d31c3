"""One question to a million texts: what the blocking and the asynchronous `map` share. Reads the checkpoint; knows no socket and no thread.

source ─▶ Grouper ─▶ Board ─▶ (a request, by a driver) ─▶ Board ─▶ release in order ─▶ checkpoint ─▶ caller
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Generic, Literal, TypedDict, TypeVar

from hanlin.client import replies
from hanlin.client.board import Board, Group, Piece
from hanlin.client.checkpoint import Checkpoint, Kept
from hanlin.client.flows import Policy, exchange
from hanlin.client.pace import Pace
from hanlin.client.progress import Bar, OnProgress, Teller
from hanlin.client.questions import Question
from hanlin.client.steps import Flow, Reply
from hanlin.client.texts import Grouper
from hanlin.errors import HanlinError, Internal, InvalidInput, from_wire
from hanlin.types import shorten

T = TypeVar("T")
OnError = Literal["raise", "return"]
GROUPS_A_REQUEST = 4  # groups kept for each request in flight: one that is late does not stop the others


class MapOptions(TypedDict, total=False):
    """Further options of `map`.

    Attributes:
        concurrency: requests in flight at most (8). How many is found out: more while the server takes them, half when it is busy.
        group_size: texts a request (128); fewer, where the server finds that too many.
        checkpoint: a file that takes the answers; a second run with the same texts, endpoint and question goes on where this one stopped.
        progress: True for a bar on standard error; a function of rows done and rows in all; or something with `update(n)`, as tqdm's bars.
        total: rows in all, for `progress`, where the texts do not know their number.
        patience: seconds that a server which is away, starting or too busy is waited for (120).
    """

    concurrency: int
    group_size: int
    checkpoint: str | Path | None
    progress: bool | OnProgress | Bar | None
    total: int | None
    patience: float


@dataclass(frozen=True, slots=True)
class MapPlan:
    """The options with their defaults."""

    concurrency: int = 8
    group_size: int = 128
    checkpoint: str | Path | None = None
    progress: bool | OnProgress | Bar | None = None
    total: int | None = None
    patience: float = 120.0

    def __post_init__(self) -> None:
        """Raises InvalidInput (`map_option_too_small`)."""
        for name, value in (("concurrency", self.concurrency), ("group_size", self.group_size)):
            if value < 1:
                raise InvalidInput("map_option_too_small", name=name, value=value)


def plan_of(options: MapOptions) -> MapPlan:
    """The plan. Raises InvalidInput (`map_option_unknown`, `map_option_too_small`)."""
    known = [field.name for field in fields(MapPlan)]
    for name in options:
        if name not in known:
            raise InvalidInput("map_option_unknown", name=shorten(name), choices=", ".join(known))
    return MapPlan(**options)


@dataclass(frozen=True, slots=True)
class Heard(Generic[T]):
    """The answers to a request, and how long it waited at the server, where that is told."""

    answers: list[T]
    queue_ms: float | None


def queue_ms_of(reply: Reply) -> float | None:
    """From Server-Timing; a proxy may have taken it out."""
    try:
        return replies.times_of(reply.headers.get("server-timing", "")).get("queue")
    except ValueError:
        return None


class Mapping(Generic[T]):
    """The state of one `map`; `close` it."""

    def __init__(
        self, endpoint: str, question: Question[T], plan: MapPlan, policy: Policy, *, on_error: OnError, total: int | None
    ) -> None:
        self._endpoint = endpoint
        self._question = question
        self._policy = replace(policy, max_retries=0)  # the board decides what is tried again, and when
        self._is_raising = on_error == "raise"
        self._clock: Callable[[], float] = policy.clock
        self._grouper = Grouper(plan.group_size)
        self._next_row = 0
        most = GROUPS_A_REQUEST * plan.concurrency
        self._board = Board[T](Pace(plan.concurrency), policy.pause_s, patience_s=plan.patience, most_groups=most)
        self._checkpoint = Checkpoint(plan.checkpoint, endpoint, question) if plan.checkpoint is not None else None
        self._kept: Iterator[Kept[T]] = self._checkpoint.kept() if self._checkpoint else iter(())
        self._teller = Teller(plan.progress, plan.total if plan.total is not None else total, endpoint)

    # What was answered by a run before

    def kept(self) -> Kept[T] | None:
        """The next group that was written down; it waits for as many texts."""
        return next(self._kept, None)

    def replay(self, kept: Kept[T], texts: list[object]) -> Iterator[T | HanlinError]:
        """The answers that were written down for these texts."""
        kept.check(texts)
        start, self._next_row = self._next_row, self._next_row + len(texts)
        yield from self._rows(start, kept.answers)

    # What is asked now

    @property
    def has_room(self) -> bool:
        """Whether more texts may come."""
        return self._board.has_room

    @property
    def is_done(self) -> bool:
        """Whether all that was put in came out."""
        return self._board.is_empty

    def gather(self, text: object) -> list[object] | None:
        """One text more; the group that it completes shall be given to `add`."""
        return self._grouper.add(text)

    def rest(self) -> list[object]:
        """The last group, perhaps empty, when there are no more texts."""
        return self._grouper.rest()

    def add(self, group: list[object]) -> None:
        """Texts to ask."""
        if self._board.is_too_large:
            self._grouper.size, self._board.is_too_large = max(1, len(group) // 2), False
        self._board.add(self._next_row, group)
        self._next_row += len(group)

    def take(self) -> Piece[T] | None:
        """What to send now."""
        return self._board.take(self._clock())

    def wait_s(self) -> float | None:
        """Seconds until there is something to send; None: not before an answer comes."""
        return self._board.wait_s(self._clock())

    def ask(self, piece: Piece[T]) -> Flow[Heard[T]]:
        """The request for a piece, tried once."""
        call = self._question.call(self._endpoint, piece.texts())

        def parse(reply: Reply) -> Heard[T]:
            return Heard(call.parse(reply), queue_ms_of(reply))

        return exchange(replace(call, parse=parse), self._policy)  # type: ignore[arg-type]

    def settle(self, piece: Piece[T], outcome: Heard[T] | BaseException) -> None:
        """What came of a request. Raises what ends the whole."""
        if isinstance(outcome, HanlinError):
            self._board.failed(piece, outcome, self._clock())
        elif isinstance(outcome, BaseException):
            raise outcome
        elif len(outcome.answers) != len(piece.places):
            self._board.failed(piece, Internal("unexpected_answer", status=200), self._clock())
        else:
            self._board.answered(piece, outcome.answers, outcome.queue_ms)

    @property
    def is_ready(self) -> bool:
        """Whether the answers that come next in order are there."""
        return self._board.is_ready

    def release(self) -> Group[T] | None:
        """The group that comes next in order, if it is answered; to be handed out."""
        return self._board.release()

    def hand_out(self, group: Group[T]) -> Iterator[T | HanlinError]:
        """The answers of a released group, once they are written down."""
        answers = group.results()
        is_raising = self._is_raising and any(isinstance(answer, HanlinError) for answer in answers)
        if self._checkpoint and not is_raising:  # whoever takes the bad text out goes on from here
            self._checkpoint.add(group.texts, answers)
        return self._rows(group.start, answers)

    def _rows(self, start: int, answers: list[T | HanlinError]) -> Iterator[T | HanlinError]:
        for row, answer in enumerate(answers, start):
            if isinstance(answer, HanlinError):
                error = with_row(answer, row)
                if self._is_raising:
                    raise error
                yield error
            else:
                yield answer
        self._teller.add(len(answers))

    def close(self) -> None:
        """Let go of file and screen."""
        self._teller.close()
        if self._checkpoint:
            self._checkpoint.close()


def with_row(error: HanlinError, row: int) -> HanlinError:
    """The error with the row in place of the text's place in its request, in its words too."""
    index = error.params.get("index")
    if index == row:
        return error
    wire = error.to_wire() | {"index": row}
    for before, after in (("text ", " "), ("第 ", " 条")):
        wire["message"] = str(wire["message"]).replace(f"{before}{index}{after}", f"{before}{row}{after}", 1)
    found = from_wire(wire)
    found.params = error.params | {"index": row}
    found.details = error.details
    return found
