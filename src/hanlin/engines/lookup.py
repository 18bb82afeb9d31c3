"""Guesses of what a row writes next, out of what stands in it already: texts that are summarised or quoted come back word by word.

A guess costs little where a step of three tokens costs hardly more than one of one; it is checked by the network in that step, so nothing
that is written depends on it. Plain numbers. Source: Saxena, Prompt Lookup Decoding (2023); Leviathan et al., Fast Inference from
Transformers via Speculative Decoding (2023), of which only the check is taken: a draw that falls on the guess.
"""

from __future__ import annotations

from collections.abc import Sequence

DRAFT = 2  # tokens; a step with so many more takes 1.45 times as long (SmolLM2-135M, int8, AVX2), with three 1.7, with four 2.7
_SIZE = 3  # tokens that must have stood there before
_LEAST = 0.6  # of them must come true on average, or the step is not worth it
_PAUSE = 32  # tokens without a guess, after guesses that did not come true
_AGAIN = 5 / 3  # times the least, or 0.4 more, is where a source begins after that: a few guesses show whether it is better now
_WEIGHT = 0.15  # of the newest guess in the average


class Worth:
    """Whether the guesses of one source are worth their steps to a row, by how many came true lately.

    Attributes:
        least: tokens of a guess that must come true on average.
    """

    def __init__(self, least: float) -> None:
        self.least = least
        self._true = float(DRAFT)
        self._again_at = 0

    def is_due(self, num_ids: int) -> bool:
        """Whether a row of so many ids may be guessed for."""
        return num_ids >= self._again_at

    def note(self, num_true: int, num_ids: int) -> None:
        """So many tokens of a guess came true; the row has so many ids now."""
        self._true += _WEIGHT * (num_true - self._true)
        if self._true < self.least:
            self._true, self._again_at = min(_AGAIN * self.least, self.least + 0.4), num_ids + _PAUSE


class Lookup:
    """Guesses for one row, whose tokens only grow.

    Attributes:
        worth: of its guesses so far.
    """

    def __init__(self) -> None:
        self._ends: dict[tuple[int, ...], int] = {}  # runs of tokens: where the newest one with something behind it ends
        self._known = 0  # tokens of which the runs are in it
        self.worth = Worth(_LEAST)

    def draft(self, ids: Sequence[int], most: int) -> list[int]:
        """What followed when the newest tokens stood there last; at most so many tokens, none where that has not paid lately."""
        if most <= 0 or not self.worth.is_due(len(ids)):
            return []
        for place in range(max(_SIZE, self._known), len(ids)):
            self._ends[tuple(ids[place - _SIZE : place])] = place
        self._known = len(ids)
        end = self._ends.get(tuple(ids[-_SIZE:]))
        return [] if end is None else list(ids[end : end + min(most, DRAFT)])
