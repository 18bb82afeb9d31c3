"""Which labels are probably wrong, told from what a model gives rows it did not learn from. Knows numbers only.

Source: Northcutt, Jiang, Chuang 2021, Confident Learning: Estimating Uncertainty in Dataset Labels (JAIR 70), sections 3.1 and 3.2: a row
counts for a class when its probability is at least the mean of the rows that bear this label; among several for the most probable one. Rows
that so count for another class than their label's are the suspects, ranked by how far that class is ahead.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]
Chances = npt.NDArray[np.float64]


class Suspects(NamedTuple):
    """Rows whose label is doubted, the most doubtful first.

    Attributes:
        rows: their positions.
        others: the class that each seems to belong to.
        leads: how much more probable that class is than the label's, -1 to 1.
        joint: (label, class) how many rows bear the label and count for the class.
    """

    rows: Positions
    others: Positions
    leads: Chances
    joint: Positions


def find_suspects(chances: Chances, given: Positions) -> Suspects:
    """Rows whose label is probably wrong.

    Args:
        chances: (rows, classes) out-of-fold probabilities.
        given: (rows,) position of each row's label.
    """
    classes = chances.shape[1]
    counts = np.bincount(given, minlength=classes)
    own = chances[np.arange(len(given)), given]
    bars = np.where(counts > 0, np.bincount(given, weights=own, minlength=classes) / np.maximum(counts, 1), np.inf)
    reached = np.where(chances >= bars, chances, -1.0)
    best = reached.argmax(axis=1)
    counted = reached.max(axis=1) >= 0
    joint = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(joint, (given[counted], best[counted]), 1)
    rows = np.flatnonzero(counted & (best != given))
    leads = chances[rows, best[rows]] - own[rows]
    order = np.lexsort((rows, -leads))
    return Suspects(rows[order], best[rows][order], leads[order], joint)
