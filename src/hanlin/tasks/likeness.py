"""How alike two runs of a model answer: what compression judges variants by and certificates are given for.

Both sides are `(rows, values)`: one row a text, or one row a token where every token has an answer of its own.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Raw = npt.NDArray[np.floating]  # (rows, values) as the engine gave them
Numbers = npt.NDArray[np.float64]  # (rows, values), comparable
MIN_COSINE = 0.98


class Likeness(Protocol):
    """A way to compare."""

    def numbers(self, raw: Raw) -> Numbers:
        """An engine's values in comparable form."""
        ...

    def agree(self, found: Numbers, reference: Numbers) -> npt.NDArray[np.bool_]:
        """Whether each row says the same, `(rows,)`."""
        ...

    def differ(self, found: Numbers, reference: Numbers) -> Numbers:
        """How far apart each row is, `(rows,)`; 0 for equal rows."""
        ...

    def closeness(self, found: Numbers, reference: Numbers) -> float:
        """How near all rows are in 0..1, 1 for the same answers: the metric where there is no gold."""
        ...


class LabelLikeness:
    """Probabilities of labels: the same best label, the largest gap of a score."""

    def numbers(self, raw: Raw) -> Numbers:
        """Softmax over the labels, safe against overflow."""
        shifted = np.exp(raw.astype(np.float64) - raw.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    def agree(self, found: Numbers, reference: Numbers) -> npt.NDArray[np.bool_]:
        """See `Likeness`."""
        return np.asarray(found.argmax(axis=1) == reference.argmax(axis=1))

    def differ(self, found: Numbers, reference: Numbers) -> Numbers:
        """See `Likeness`."""
        return np.asarray(np.abs(found - reference).max(axis=1, initial=0.0))

    def closeness(self, found: Numbers, reference: Numbers) -> float:
        """The share of rows that agree."""
        return float(self.agree(found, reference).mean())


class VectorLikeness:
    """Embeddings by direction: a cosine of at least 0.98, the distance of the two unit vectors (0.2 at that cosine)."""

    def numbers(self, raw: Raw) -> Numbers:
        """Unit vectors."""
        values = raw.astype(np.float64)
        return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12))

    def agree(self, found: Numbers, reference: Numbers) -> npt.NDArray[np.bool_]:
        """See `Likeness`."""
        return np.asarray((found * reference).sum(axis=1) >= MIN_COSINE)

    def differ(self, found: Numbers, reference: Numbers) -> Numbers:
        """See `Likeness`."""
        return np.asarray(np.linalg.norm(found - reference, axis=1))

    def closeness(self, found: Numbers, reference: Numbers) -> float:
        """The mean cosine."""
        return float((found * reference).sum(axis=1).mean())


class ScoreLikeness:
    """One number a row, a probability: the same side of a half or less than a hundredth apart, and the gap itself."""

    def numbers(self, raw: Raw) -> Numbers:
        """The sigmoid of one value, safe against overflow; vectors of an embedding model as `VectorLikeness` has them."""
        if raw.shape[1] > 1:
            return VECTORS.numbers(raw)
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * raw.astype(np.float64))))

    def agree(self, found: Numbers, reference: Numbers) -> npt.NDArray[np.bool_]:
        """See `Likeness`."""
        if found.shape[1] > 1:
            return VECTORS.agree(found, reference)
        is_near = np.abs(found - reference)[:, 0] < 0.01
        return np.asarray(is_near | ((found >= 0.5) == (reference >= 0.5))[:, 0])

    def differ(self, found: Numbers, reference: Numbers) -> Numbers:
        """See `Likeness`."""
        return VECTORS.differ(found, reference) if found.shape[1] > 1 else np.asarray(np.abs(found - reference)[:, 0])

    def closeness(self, found: Numbers, reference: Numbers) -> float:
        """See `Likeness`: one less the mean gap."""
        return VECTORS.closeness(found, reference) if found.shape[1] > 1 else float(1 - np.abs(found - reference).mean())


class FlagLikeness:
    """Probabilities of labels that apply each by itself: the same ones beyond a half or less than a hundredth from it, the largest gap."""

    def numbers(self, raw: Raw) -> Numbers:
        """The sigmoid of every value, safe against overflow."""
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * raw.astype(np.float64))))

    def agree(self, found: Numbers, reference: Numbers) -> npt.NDArray[np.bool_]:
        """See `Likeness`."""
        return np.asarray((((found >= 0.5) == (reference >= 0.5)) | (np.abs(found - reference) < 0.01)).all(axis=1))

    def differ(self, found: Numbers, reference: Numbers) -> Numbers:
        """See `Likeness`."""
        return LABELS.differ(found, reference)

    def closeness(self, found: Numbers, reference: Numbers) -> float:
        """The share of rows that agree."""
        return float(self.agree(found, reference).mean())


class ValueLikeness:
    """One number a row without bounds: gaps relative to its size, where that is beyond one; a twentieth is still the same."""

    def numbers(self, raw: Raw) -> Numbers:
        """The values themselves."""
        return raw.astype(np.float64)

    def agree(self, found: Numbers, reference: Numbers) -> npt.NDArray[np.bool_]:
        """See `Likeness`."""
        return np.asarray(self.differ(found, reference) < 0.05)

    def differ(self, found: Numbers, reference: Numbers) -> Numbers:
        """See `Likeness`."""
        return np.asarray((np.abs(found - reference) / np.maximum(1.0, np.abs(reference))).max(axis=1, initial=0.0))

    def closeness(self, found: Numbers, reference: Numbers) -> float:
        """One less the mean gap."""
        return float(1 - self.differ(found, reference).mean())


LABELS, VECTORS, SCORES, FLAGS, VALUES = LabelLikeness(), VectorLikeness(), ScoreLikeness(), FlagLikeness(), ValueLikeness()
