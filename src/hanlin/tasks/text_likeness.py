"""How alike two texts are that were written: by the letters and pairs of letters that both have, wherever they stand."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hanlin.tasks.likeness import Numbers, Raw

WIDTH = 64  # letters that are compared: what a few tokens spell
NEAR = 0.5  # where one word gives way to another of the same meaning, most letters stay


class TextLikeness:
    """Rows are the first letters of texts as numbers (or their tokens), 0 behind the end.

    Two texts differ by one less the mean F1 of single letters and of pairs, as chrF counts runs: a word more or less costs its own letters
    and no others. Source: Popović, chrF (2015).
    """

    def of(self, text: str) -> Numbers:
        """A text as a row, (1, 64)."""
        letters = [float(ord(letter)) for letter in text[:WIDTH]]
        return np.array([[*letters, *[0.0] * (WIDTH - len(letters))]])

    def numbers(self, raw: Raw) -> Numbers:
        """As they are: numbers of letters, or of tokens."""
        return np.asarray(raw, dtype=np.float64)

    def agree(self, found: Numbers, reference: Numbers) -> npt.NDArray[np.bool_]:
        """See `Likeness`: more of the one is in the other than not."""
        return np.asarray(self.differ(found, reference) < NEAR)

    def differ(self, found: Numbers, reference: Numbers) -> Numbers:
        """See `Likeness`: 0 for equal rows, 1 for those that have nothing in common."""
        return np.array([_difference(one, other) for one, other in zip(found, reference, strict=True)])

    def closeness(self, found: Numbers, reference: Numbers) -> float:
        """See `Likeness`: how much is in common."""
        return float(1 - self.differ(found, reference).mean())


def _difference(found: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]) -> float:
    if np.array_equal(found, reference):
        return 0.0
    one, other = found[found != 0].tolist(), reference[reference != 0].tolist()
    sizes = [(one, other), ([*pairwise(one)], [*pairwise(other)])]
    return 1 - float(np.mean([_f1(*lists) for lists in sizes if any(lists)]))


def _f1(found: list[float] | list[tuple[float, float]], reference: list[float] | list[tuple[float, float]]) -> float:
    shared = (Counter[object](found) & Counter[object](reference)).total()
    return 2 * shared / (len(found) + len(reference))


TEXTS = TextLikeness()
