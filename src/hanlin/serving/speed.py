"""How long an engine's steps take, learned from those it has done: a part for each step and a part for each token, padding included.

The two are told apart by exponentially weighted least squares. Tokens by seconds alone would not do: a step of one short text is nearly
all fixed part, and an engine that has done nothing else for a while would seem ten times slower than it is.
"""

from __future__ import annotations

_MEMORY = 0.95  # weight of the past
_MIN_SPREAD = 0.2  # of the steps' tokens about their mean, as a share of it: of steps that are all alike nothing can be told apart
_MIN_STEPS = 4.0  # by weight, before steps that are all alike tell anything
_MIN_SHARE = 0.02  # least share of a step that is put down to its tokens


class Speed:
    """Belongs to one queue.

    Attributes:
        is_known: whether steps of different sizes have been seen.
    """

    def __init__(self) -> None:
        self._weight = self._x = self._y = self._xx = self._xy = 0.0  # weighted sums over the steps; x: tokens, y: seconds
        self._fixed_s = 0.0
        self._token_s = 0.0
        self.is_known = False

    def observe(self, tokens: int, seconds: float) -> None:
        """Learn from a finished step; `seconds`: its share of the time, when others ran beside it."""
        sums = self._weight, self._x, self._y, self._xx, self._xy
        new = 1.0, tokens, seconds, tokens * tokens, tokens * seconds
        self._weight, self._x, self._y, self._xx, self._xy = (_MEMORY * old + one for old, one in zip(sums, new, strict=True))
        x, y = self._x / self._weight, self._y / self._weight
        if x <= 0 or y <= 0:
            return
        variance = self._xx / self._weight - x * x
        if variance > (_MIN_SPREAD * x) ** 2:
            slope = (self._xy / self._weight - x * y) / variance
            self._token_s = min(max(slope, _MIN_SHARE * y / x), y / x)
            self.is_known = True
        elif not self.is_known:
            self._token_s = y / x
        self._fixed_s = max(0.0, y - self._token_s * x)

    def knows(self, tokens: int) -> bool:
        """Whether what it says of steps of up to so many tokens is to be relied on: it has seen different ones, or all about as large."""
        return self.is_known or (self._weight >= _MIN_STEPS and 2 * self._x >= tokens * self._weight)

    def tokens_in(self, seconds: float) -> int:
        """How many tokens one step does in so much time; 0 when not even an empty one fits."""
        return int(max(0.0, seconds - self._fixed_s) / self._token_s) if self._token_s else 0

    def seconds(self, tokens: int, *, steps: int = 1) -> float:
        """How long so many steps over so many tokens together take; 0 while nothing has been seen."""
        return steps * self._fixed_s + tokens * self._token_s
