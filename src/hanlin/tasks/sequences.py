"""What a network wrote, as arrays: the form in which it comes to `Task.decode`, beside logits and vectors.

`sequences` (rows, longest), ids with -1 behind the last; `finishes` (rows, 1), numbers of `FINISH_REASONS`; `scores` (rows, 1). All are
float64: whole numbers stay exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hanlin.generation import FINISH_REASONS, Generated

SEQUENCES, FINISHES, SCORES = "sequences", "finishes", "scores"
Arrays = Mapping[str, npt.NDArray[np.floating]]

_END = -1.0


def to_arrays(rows: Sequence[Generated]) -> dict[str, npt.NDArray[np.floating]]:
    """The rows as arrays; their longest may have no token at all."""
    longest = max(len(row.ids) for row in rows)
    filled = np.full((len(rows), longest), _END)
    for place, row in enumerate(rows):
        filled[place, : len(row.ids)] = row.ids
    finishes = np.array([[float(FINISH_REASONS.index(row.finish))] for row in rows])
    return {SEQUENCES: filled, FINISHES: finishes, SCORES: np.array([[row.score] for row in rows])}


def from_arrays(arrays: Arrays) -> list[Generated]:
    """What `to_arrays` had."""
    rows = zip(arrays[SEQUENCES], arrays[FINISHES], arrays[SCORES], strict=True)
    return [Generated(ids_of(ids), FINISH_REASONS[int(finish[0])], float(score[0])) for ids, finish, score in rows]


def ids_of(row: npt.NDArray[np.floating]) -> tuple[int, ...]:
    """The ids of one row of `sequences`."""
    return tuple(row[row >= 0].astype(int).tolist())


def stack(rows: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.floating]:
    """Rows of `sequences` from different batches as one array, each filled to the longest."""
    longest = max(map(len, rows))
    return np.stack([np.pad(row, (0, longest - len(row)), constant_values=_END) for row in rows])
