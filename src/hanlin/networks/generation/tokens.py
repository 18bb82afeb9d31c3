"""One token after the other: the most likely, or drawn by chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hanlin.errors import HanlinError
from hanlin.generation import FinishReason, Generated, GenerationSettings, Seen
from hanlin.networks.generation.limits import Row, limit

_OF_ONE_LINE = (HanlinError, RuntimeError, ValueError, IndexError)  # what fails a row alone, as of `PagedBatch`
_HEAD = 1024  # draws nearly always fall on one of so many likeliest tokens; sorting a whole vocabulary takes milliseconds


@dataclass(slots=True)
class Line:
    """A row as it is being written, and what it draws with.

    Attributes:
        log: logarithm of the chance of its newest token, the one that ends it as well.
        finish: why it ends, once it does.
        error: what has failed it alone; `finish` is `cancelled` then.
    """

    row: Row
    chance: torch.Generator
    written: list[int] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    score: float = 0.0
    log: float = 0.0
    finish: FinishReason | None = None
    error: Exception | None = None

    @classmethod
    def of(cls, row: Row) -> Line:
        """Before its first token."""
        return cls(row, torch.Generator().manual_seed(row.settings.seed))

    def take(self, token: int, log: float, seen: Seen | None) -> None:
        """Go one token further, or end with it."""
        self.log = finite(log)
        self.score += log
        if token in self.row.stops:
            self.finish = "stop"
            return
        self.written.append(token)
        if seen is not None:
            self.seen.append(seen)
        if self.row.is_over(self.written):
            self.finish = "stop"
        elif len(self.written) == self.row.room:
            self.finish = "length"

    def fail(self, error: Exception) -> None:
        """End it; its neighbours go on."""
        self.finish, self.error = "cancelled", error


def advance(lines: Sequence[Line], scores: Tensor) -> None:
    """Choose the next token of every line: (lines, vocabulary), which are not to be used any more. What fails a line is its `error`.

    What a line is told of its tokens is what the network itself thinks, before any rule and temperature; `score` is what they leave."""
    scores = scores.float()
    told = {place: scores[place].log_softmax(-1) for place, line in enumerate(lines) if line.row.settings.tells}
    for place, line in enumerate(lines):
        try:
            limit(scores[place], line.row, line.written)
        except _OF_ONE_LINE as error:  # a form that takes too much work; ids that are none
            line.fail(error)
    logs, best = scores.log_softmax(-1), scores.argmax(-1).tolist()
    for place, line in enumerate(lines):
        if line.error is not None:
            continue
        settings = line.row.settings
        try:
            token = draw(scores[place], settings, line.chance) if settings.temperature else best[place]
            seen = seen_of(told[place], token, settings.likeliest) if settings.tells else None
            line.take(token, float(logs[place, token]), seen)
        except _OF_ONE_LINE as error:  # scores that are no numbers
            line.fail(error)


class TokenSearch:
    """Writes rows token by token; those that end leave the batch."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.done: dict[int, Generated] = {}
        self._lines = [Line.of(row) for row in rows]

    def advance(self, scores: Tensor, is_wanted: Callable[[int], bool]) -> tuple[list[int], list[int]]:
        """Choose the next token of every row.

        Args:
            scores: (rows, vocabulary) of those that go on, in the order of the last answer.

        Returns:
            Places in `scores` of the rows that go on, and the token of each.
        """
        places = []
        for place, line in enumerate(self._lines):
            if is_wanted(line.row.number):
                places.append(place)
            else:
                self._end(line, "cancelled")
        wanted = [self._lines[place] for place in places]
        if wanted:
            advance(wanted, scores if len(wanted) == len(scores) else scores[torch.tensor(places)])
        going = []
        for place, line in zip(places, wanted, strict=True):
            if line.error is not None:
                raise line.error
            if line.finish is None:
                going.append((place, line))
            else:
                self._end(line, line.finish)
        self._lines = [line for _, line in going]
        return [place for place, _ in going], [line.written[-1] for line in self._lines]

    def _end(self, line: Line, finish: FinishReason) -> None:
        self.done[line.row.number] = Generated(tuple(line.written), finish, line.score, tuple(line.seen))


def draw(scores: Tensor, settings: GenerationSettings, chance: torch.Generator) -> int:
    """One token by chance: (vocabulary,) float32. Source: Holtzman et al., The Curious Case of Neural Text Degeneration (2019)."""
    heated = scores / settings.temperature
    drawn = float(torch.rand((), generator=chance))
    count = min(settings.top_k or len(scores), len(scores))
    if count > _HEAD and settings.top_k == 0:
        values, tokens = heated.topk(_HEAD)
        token = _drawn((values - heated.logsumexp(0)).exp(), settings.top_p, drawn, is_whole=False)
        if token is not None:
            return int(tokens[token])
    values, tokens = heated.topk(count)
    token = _drawn(values.softmax(0), settings.top_p, drawn, is_whole=True)
    assert token is not None, "a whole vocabulary has all chances"
    return int(tokens[token])


def _drawn(chances: Tensor, top_p: float, drawn: float, *, is_whole: bool) -> int | None:
    """The place that `drawn` (0 to 1) falls on.

    Args:
        chances: best first.
        is_whole: whether there are no others.

    Returns:
        None where it falls behind them, or what it falls on depends on what stands behind them.
    """
    sums = chances.cumsum(0)
    num_kept = int((sums - chances < top_p).sum())  # the first is always among them
    if not is_whole and num_kept == len(chances) and top_p < 1:
        return None
    mass = float(sums[num_kept - 1]) if is_whole or top_p < 1 else 1.0
    place = int((sums <= drawn * mass).sum())
    if not is_whole and place >= num_kept:
        return None
    return min(place, num_kept - 1)


def seen_of(logs: Tensor, token: int, count: int) -> Seen:
    """A token as the network saw it coming: logs (vocabulary,), with `count` likeliest ones."""
    values, tokens = logs.topk(max(1, count))
    best = tuple(zip(tokens.tolist(), values.tolist(), strict=True))
    log = finite(float(logs[token]))
    return Seen(log, log >= best[0][1], best[:count])


def finite(number: float) -> float:
    """The number itself. Raises RuntimeError for one that is none: the network has failed, and would write nonsense from here on."""
    if not math.isfinite(number):
        raise RuntimeError("the scores of the next token are not finite")
    return number
