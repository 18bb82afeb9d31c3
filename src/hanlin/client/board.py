"""Which texts are asked next, again, or no more, and which answers may be handed on. Holds no socket, no thread and no clock.

A *group* is some texts in a row, answered together; a *piece* is the part of a group that one request asks for. A request that is refused
because of one text is sent again without it; one that is too large, or that breaks the engine, is cut in two.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from hanlin.client.pace import Pace
from hanlin.errors import DataCorrupt, DeadlineExceeded, EngineFailed, HanlinError, Internal, InvalidInput, NotReady, Overloaded

T = TypeVar("T")
SMALLEST = 8  # texts a request, below which a slow server is not asked for fewer
MAX_LONE_FAILURES = 64  # so many texts in a row that the engine failed at, and the engine is broken, not the texts


@dataclass(slots=True)
class Group(Generic[T]):
    """Texts in a row; `start` is the row of the first. Each answer comes at its text's place."""

    start: int
    texts: tuple[object, ...]
    answers: dict[int, T | HanlinError] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether all texts are answered."""
        return len(self.answers) == len(self.texts)

    def settle(self, place: int, answer: T | HanlinError) -> None:
        """The answer to one text."""
        assert place not in self.answers
        self.answers[place] = answer

    def results(self) -> list[T | HanlinError]:
        """All answers, in order, once `is_done`."""
        return [self.answers[place] for place in range(len(self.texts))]


@dataclass(slots=True)
class Piece(Generic[T]):
    """The texts of a group that one request asks for."""

    group: Group[T]
    places: tuple[int, ...]
    attempt: int = 0
    sent_s: float = 0.0

    def texts(self) -> list[str]:
        """What is sent."""
        return [str(self.group.texts[place]) for place in self.places]


class Board(Generic[T]):
    """All groups between the first request for them and their release, in order.

    Args:
        pause_s: seconds before attempt n + 1 after an error, as `Policy.pause_s`.
        patience_s: how long a server that gives no good answer is waited for.
        most_groups: the bound of memory.
    """

    def __init__(self, pace: Pace, pause_s: Callable[[int, HanlinError], float], *, patience_s: float, most_groups: int) -> None:
        self.pace = pace
        self.running = 0
        self.is_too_large = False
        self._pause_s = pause_s
        self._patience_s = patience_s
        self._most_groups = most_groups
        self._failing_since_s: float | None = None
        self._lone_failures = 0
        self._groups: deque[Group[T]] = deque()
        self._due: list[tuple[float, int, Piece[T]]] = []
        self._order = count()

    @property
    def has_room(self) -> bool:
        """Whether another group may be added."""
        return len(self._groups) < self._most_groups

    @property
    def is_empty(self) -> bool:
        """Whether all groups were released."""
        return not self._groups

    def add(self, start: int, texts: Sequence[object]) -> None:
        """Begin a group; what is no text is answered at once."""
        group = Group[T](start, tuple(texts))
        places = []
        for place, text in enumerate(texts):
            if problem := problem_of(text, start + place):
                group.settle(place, problem)
            else:
                places.append(place)
        self._groups.append(group)
        self._queue(float("-inf"), Piece(group, tuple(places)))

    def _queue(self, when_s: float, piece: Piece[T]) -> None:
        if piece.places:
            heapq.heappush(self._due, (when_s, next(self._order), piece))

    def take(self, now_s: float) -> Piece[T] | None:
        """The next piece to send now, if one may be sent."""
        if self.wait_s(now_s) != 0.0:
            return None
        piece = heapq.heappop(self._due)[2]
        piece.sent_s = now_s
        self.running += 1
        return piece

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until a piece may be sent; None when that hangs on an answer or on more texts."""
        if not self._due or self.running >= self.pace.limit:
            return None
        return max(0.0, self._due[0][0] - now_s, self.pace.held_until_s() - now_s)

    def answered(self, piece: Piece[T], answers: Sequence[T], queue_ms: float | None = None) -> None:
        """Good answers to all texts of a piece, which waited so long at the server."""
        self.running -= 1
        self._failing_since_s, self._lone_failures = None, 0
        self.pace.good(queue_ms)
        for place, answer in zip(piece.places, answers, strict=True):
            piece.group.settle(place, answer)

    def failed(self, piece: Piece[T], error: HanlinError, now_s: float) -> None:
        """A bad outcome: one text's, or a matter of time, or of size. Raises `error` when it is none of these."""
        self.running -= 1
        if isinstance(error, InvalidInput):
            self._refused(piece, error, now_s)
        elif error.is_retryable or isinstance(error, DeadlineExceeded):
            self._put_off(piece, error, now_s)
        elif isinstance(error, EngineFailed | Internal | DataCorrupt):
            self._broke(piece, error, now_s)
        else:
            raise error

    def _refused(self, piece: Piece[T], error: InvalidInput, now_s: float) -> None:
        """One text is bad, or they are too many together."""
        index = error.params.get("index")
        if isinstance(index, int) and 0 <= index < len(piece.places):
            self._failing_since_s = None  # a server that reads texts is well
            piece.group.settle(piece.places[index], error)
            self._queue(now_s, Piece(piece.group, piece.places[:index] + piece.places[index + 1 :]))
        elif error.code in ("batch_too_large", "body_too_large", "too_many_values") and len(piece.places) > 1:
            self._halve(piece, now_s)
        elif error.code == "body_too_large":
            piece.group.settle(piece.places[0], error)
        else:
            raise error

    def _put_off(self, piece: Piece[T], error: HanlinError, now_s: float) -> None:
        """The server is busy or away."""
        self._failing_since_s = now_s if self._failing_since_s is None else self._failing_since_s
        if now_s - self._failing_since_s > self._patience_s:
            raise error
        pause_s = self._pause_s(min(piece.attempt, 8), error)
        if isinstance(error, NotReady):
            self.pace.away(piece.sent_s, now_s, pause_s)
        else:
            self.pace.refused(piece.sent_s, now_s)
        is_slow = isinstance(error, DeadlineExceeded) or (isinstance(error, Overloaded) and self.pace.limit == 1)
        if is_slow and len(piece.places) > SMALLEST:
            self._halve(piece, now_s + pause_s)
        else:
            self._queue(now_s + pause_s, Piece(piece.group, piece.places, piece.attempt + 1))

    def _broke(self, piece: Piece[T], error: HanlinError, now_s: float) -> None:
        """The engine failed: once may be chance; then look for the text that it fails at."""
        if piece.attempt == 0:
            self._queue(now_s + self._pause_s(0, error), Piece(piece.group, piece.places, 1))
        elif len(piece.places) > 1:
            was_too_large = self.is_too_large
            self._halve(piece, now_s)
            self.is_too_large = was_too_large  # one text is at fault, not their number
        else:
            self._lone_failures += 1
            if self._lone_failures > MAX_LONE_FAILURES:
                raise error
            piece.group.settle(piece.places[0], error)

    def _halve(self, piece: Piece[T], when_s: float) -> None:
        self.is_too_large = True
        middle = len(piece.places) // 2
        for places in (piece.places[:middle], piece.places[middle:]):
            self._queue(when_s, Piece(piece.group, places, piece.attempt))

    @property
    def is_ready(self) -> bool:
        """Whether the first group is answered."""
        return bool(self._groups) and self._groups[0].is_done

    def release(self) -> Group[T] | None:
        """The first group, if all of it is answered."""
        return self._groups.popleft() if self.is_ready else None


def problem_of(text: object, row: int) -> HanlinError | None:
    """Why something cannot be sent as a text."""
    if not isinstance(text, str):
        return InvalidInput("invalid_inputs", found="null" if text is None else type(text).__name__, index=row)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return InvalidInput("invalid_unicode", index=row, position=error.start)
    return None
