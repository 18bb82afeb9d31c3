"""How alike two texts are that were written: letter by letter, where they stand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hanlin.tasks.likeness import Numbers, Raw

WIDTH = 64  # letters that are compared: what a few tokens spell


class TextLikeness:
    """Rows are the first letters of texts as numbers, 0 behind the end: equal texts agree; the difference is the share of other letters."""

    def of(self, text: str) -> Numbers:
        """A text as a row, (1, 64)."""
        letters = [float(ord(letter)) for letter in text[:WIDTH]]
        return np.array([[*letters, *[0.0] * (WIDTH - len(letters))]])

    def numbers(self, raw: Raw) -> Numbers:
        """As they are: numbers of letters, or of tokens."""
        return np.asarray(raw, dtype=np.float64)

    def agree(self, found: Numbers, reference: Numbers) -> npt.NDArray[np.bool_]:
        """See `Likeness`."""
        return np.asarray((found == reference).all(axis=1))

    def differ(self, found: Numbers, reference: Numbers) -> Numbers:
        """See `Likeness`: 0 for equal rows, at most 1."""
        used = np.maximum(((found != 0) | (reference != 0)).sum(axis=1), 1)
        return np.asarray((found != reference).sum(axis=1) / used)

    def closeness(self, found: Numbers, reference: Numbers) -> float:
        """See `Likeness`: the share of equal letters."""
        return float(1 - self.differ(found, reference).mean())


TEXTS = TextLikeness()
