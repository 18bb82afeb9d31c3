"""One token after the other: the most likely, or drawn by chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hanlin.generation import FinishReason, Generated, GenerationSettings
from hanlin.networks.generation.limits import Row, limit


@dataclass(slots=True)
class _Line:
    row: Row
    chance: torch.Generator
    written: list[int] = field(default_factory=list)
    score: float = 0.0


class TokenSearch:
    """Writes rows token by token; those that end leave the batch."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.done: dict[int, Generated] = {}
        self._lines = [_Line(row, torch.Generator().manual_seed(row.settings.seed)) for row in rows]

    def advance(self, scores: Tensor, is_wanted: Callable[[int], bool]) -> tuple[list[int], list[int]]:
        """Choose the next token of every row.

        Args:
            scores: (rows, vocabulary) of those that go on, in the order of the last answer.

        Returns:
            Places in `scores` of the rows that go on, and the token of each.
        """
        scores = scores.float()
        for place, line in enumerate(self._lines):
            limit(scores[place], line.row, line.written)
        logs, best = scores.log_softmax(-1), scores.argmax(-1).tolist()
        places: list[int] = []
        for place, line in enumerate(self._lines):
            if not is_wanted(line.row.number):
                self._end(line, "cancelled")
                continue
            token = draw(scores[place], line.row.settings, line.chance) if line.row.settings.temperature else best[place]
            line.score += finite(float(logs[place, token]))
            if token in line.row.stops:
                self._end(line, "stop")
                continue
            line.written.append(token)
            if len(line.written) == line.row.room:
                self._end(line, "length")
            else:
                places.append(place)
        self._lines = [self._lines[place] for place in places]
        return places, [line.written[-1] for line in self._lines]

    def _end(self, line: _Line, finish: FinishReason) -> None:
        self.done[line.row.number] = Generated(tuple(line.written), finish, line.score)


def draw(scores: Tensor, settings: GenerationSettings, chance: torch.Generator) -> int:
    """One token by chance: (vocabulary,) float32. Source: Holtzman et al., The Curious Case of Neural Text Degeneration (2019)."""
    count = min(settings.top_k or len(scores), len(scores))
    values, tokens = (scores / settings.temperature).topk(count)
    chances = values.softmax(0)
    sums = chances.cumsum(0)
    num_kept = int((sums - chances < settings.top_p).sum())  # the first is always among them
    threshold = torch.rand((), generator=chance) * sums[num_kept - 1]
    return int(tokens[min(int((sums <= threshold).sum()), num_kept - 1)])


def finite(number: float) -> float:
    """The number itself. Raises RuntimeError for one that is none: the network has failed, and would write nonsense from here on."""
    if not math.isfinite(number):
        raise RuntimeError("the scores of the next token are not finite")
    return number
