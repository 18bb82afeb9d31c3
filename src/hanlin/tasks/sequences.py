"""What a network wrote, as arrays: the form in which it comes to `Task.decode`, beside logits and vectors.

`sequences` (rows, longest), ids with -1 behind the last; `finishes` (rows, 1), numbers of `FINISH_REASONS`; `scores` (rows, 1). Of rows
that were only read, `seen` (rows, longest, 2 + 2 x likeliest): the logarithm of each token's chance, 1 where none was likelier, then ids
and logarithms of the likeliest, and -1 in the second column behind the last. All are float64: whole numbers stay exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed
from hanlin.generation import FINISH_REASONS, Generated, Seen

SEQUENCES, FINISHES, SCORES, SEEN = "sequences", "finishes", "scores", "seen"
RAGGED = frozenset({SEQUENCES, SEEN})  # as long as their longest row
Arrays = Mapping[str, npt.NDArray[np.floating]]

_END = -1.0


def to_arrays(rows: Sequence[Generated]) -> dict[str, npt.NDArray[np.floating]]:
    """The rows as arrays; their longest may have no token at all."""
    longest = max(len(row.ids) for row in rows)
    filled = np.full((len(rows), longest), _END)
    for place, row in enumerate(rows):
        filled[place, : len(row.ids)] = row.ids
    finishes = np.array([[float(FINISH_REASONS.index(row.finish))] for row in rows])
    found = {SEQUENCES: filled, FINISHES: finishes, SCORES: np.array([[row.score] for row in rows])}
    return found | ({SEEN: _seen_array(rows)} if any(row.seen for row in rows) else {})


def _seen_array(rows: Sequence[Generated]) -> npt.NDArray[np.floating]:
    width = 2 + 2 * max(len(token.likeliest) for row in rows for token in row.seen)
    filled = np.full((len(rows), max(len(row.seen) for row in rows), width), _END)
    for place, row in enumerate(rows):
        for at, token in enumerate(row.seen):
            told = [token.log, float(token.is_first), *(number for pair in token.likeliest for number in pair)]
            filled[place, at, : len(told)] = told
    return filled


def written(outputs: Arrays) -> list[Generated]:
    """The rows of an engine's outputs. Raises EngineFailed (`model_output_invalid`)."""
    if not {SEQUENCES, FINISHES, SCORES} <= outputs.keys() or not all(np.isfinite(values).all() for values in outputs.values()):
        raise EngineFailed("model_output_invalid", details="no sequences, or numbers that are not finite")
    return from_arrays(outputs)


def from_arrays(arrays: Arrays) -> list[Generated]:
    """What `to_arrays` had."""
    rows = zip(arrays[SEQUENCES], arrays[FINISHES], arrays[SCORES], strict=True)
    found = [Generated(ids_of(ids), FINISH_REASONS[int(finish[0])], float(score[0])) for ids, finish, score in rows]
    if SEEN not in arrays:
        return found
    return [replace(row, seen=seen_of(seen)) for row, seen in zip(found, arrays[SEEN], strict=True)]


def seen_of(row: npt.NDArray[np.floating]) -> tuple[Seen, ...]:
    """The tokens of one row of `seen`."""
    return tuple(
        Seen(log, bool(first), tuple((int(token), chance) for token, chance in zip(rest[::2], rest[1::2], strict=True) if token >= 0))
        for log, first, *rest in row[row[:, 1] >= 0].tolist()
    )


def ids_of(row: npt.NDArray[np.floating]) -> tuple[int, ...]:
    """The ids of one row of `sequences`."""
    return tuple(row[row >= 0].astype(int).tolist())


def stack(rows: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.floating]:
    """Rows of `sequences` or `seen` from different batches as one array, each filled to the longest."""
    shape = tuple(np.max([row.shape for row in rows], axis=0))
    filled = np.full((len(rows), *shape), _END)
    for place, row in enumerate(rows):
        view = filled[place]
        for axis, size in enumerate(row.shape):
            view = view[(slice(None),) * axis + (slice(size),)]
        view[...] = row
    return filled
