"""How much of the prompts that are read goes beside the rows that are written: what keeps a turn short, learned from turns that were timed.

Plain numbers: knows no network, and runs without torch. Source of the idea: Agrawal et al., Sarathi-Serve (2024), with a bound on what
stands beside instead of on tokens.
"""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field

LIMIT = 1.65  # times a turn without a piece: gaps of rows that are written stay below twice their usual ones, with some room for luck
FIRST_LIMIT = 2.75  # times as long as alone may a prompt take to be read; it wins where both cannot be had
SIZES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)  # a few only: engines prepare each length of a step anew
_FIRST = 16  # while nothing is known of pieces
_KEPT = 9  # readings of a kind; their median counts, for a machine that others use has its moments
_PROBE_TURNS = 16  # at least between two turns that have no piece only so that one is timed
_FRESH_TURNS = 64  # older readings are not trusted


@dataclass(slots=True)
class _Readings:
    """The newest seconds of a kind of turn, and the number of the last such turn."""

    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    turn: int = 0

    @property
    def usual_s(self) -> float:
        return statistics.median(self.seconds)


class Pace:
    """Timed turns of one batch, and the size of the next piece.

    Args:
        alone: tokens that are read a turn when no row is written.
    """

    def __init__(self, alone: int) -> None:
        self._alone = alone
        self._plain: dict[int, _Readings] = {}  # turns without a piece, by rows that were written
        self._extra: dict[int, _Readings] = {}  # what a piece has added, by its size
        self._token_alone = _Readings()  # a token, when no row is written
        self._turn = self._probed = 0

    def size(self, num_rows: int) -> int:
        """Tokens to be read in the next turn, beside so many rows that are written; 0 where a turn without a piece has to be timed."""
        if not num_rows:
            return self._alone
        known = self._nearest(num_rows)
        if known is None or (not self._is_near(known, num_rows) and self._turn - self._probed >= _PROBE_TURNS):
            self._probed = self._turn
            return 0
        if not self._extra:
            return min(_FIRST, self._alone)
        return min(self._alone, self._fitting(self._plain[known].usual_s))

    def note(self, num_rows: int, num_tokens: int, seconds: float) -> None:
        """A turn has taken so long.

        Args:
            num_rows: that were written in it.
            num_tokens: of prompts that were read in it.
        """
        self._turn += 1
        if not num_rows:
            if num_tokens >= SIZES[0]:
                self._add(self._token_alone, seconds / num_tokens)
        elif not num_tokens:
            self._add(self._plain.setdefault(num_rows, _Readings()), seconds)
        elif num_tokens >= SIZES[0] and (known := self._nearest(num_rows)) is not None:
            size = max(each for each in SIZES if each <= num_tokens)
            extra_s = max(0.0, seconds - self._plain[known].usual_s)
            self._add(self._extra.setdefault(size, _Readings()), extra_s * size / num_tokens)

    def _fitting(self, plain_s: float) -> int:
        """The largest piece that keeps a turn short, or the larger one that keeps its prompt from being read too slowly."""
        extra_s = {size: self._expected_s(size) for size in SIZES}
        short = [size for size in SIZES if extra_s[size] <= (LIMIT - 1) * plain_s]
        chosen = short[-1] if short else SIZES[0]
        if self._token_alone.seconds:
            most_s = FIRST_LIMIT * self._token_alone.usual_s
            fast = [size for size in SIZES if plain_s + extra_s[size] <= most_s * size]
            chosen = max(chosen, fast[0]) if fast else chosen
        return chosen

    def _expected_s(self, size: int) -> float:
        """What a piece adds: as the nearest size of which that is known lately, and each token more as it is read alone."""
        fresh = [known for known, each in self._extra.items() if self._turn - each.turn <= _FRESH_TURNS]
        known = min(fresh or self._extra, key=lambda each: (abs(each - size), each))
        if self._token_alone.seconds:
            return max(0.0, self._extra[known].usual_s + (size - known) * self._token_alone.usual_s)
        return self._extra[known].usual_s * size / known

    def _add(self, readings: _Readings, seconds: float) -> None:
        readings.seconds.append(seconds)
        readings.turn = self._turn

    def _nearest(self, num_rows: int) -> int | None:
        """The number of rows nearest to this one of which turns without a piece were timed."""
        return min(self._plain, key=lambda known: (abs(known - num_rows), known), default=None)

    def _is_near(self, known: int, num_rows: int) -> bool:
        return abs(known - num_rows) <= num_rows // 4 and self._turn - self._plain[known].turn <= _FRESH_TURNS
