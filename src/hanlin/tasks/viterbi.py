"""The best row of labels when neighbours care for each other, in numpy: what a CRF's scores, or rules for labels, make of a model's answer.

The same answers as `LinearChainCrf.decode`; a forbidden step has the score -inf.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def viterbi(scores: Floats, transitions: Floats, start: Floats, end: Floats) -> list[int]:
    """The labels with the largest sum of scores; of equal ones that with the smaller numbers at its end.

    Args:
        scores: (tokens, labels) of each token that has a label, at least one.
        transitions: (labels, labels), from a label (row) to the next (column).
        start: (labels,) of the first label.
        end: (labels,) of the last label.
    """
    best = start + scores[0]
    steps: list[npt.NDArray[np.intp]] = []  # where each label's best row came from
    for own in scores[1:]:
        sums = best[:, None] + transitions  # (from, to)
        steps.append(sums.argmax(0))
        best = sums.max(0) + own
    path = [int((best + end).argmax())]
    for came in reversed(steps):
        path.append(int(came[path[-1]]))
    return path[::-1]
