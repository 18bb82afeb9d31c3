"""In which order and company rows run: the serving order (length-bucketed under a token budget), for reference and variants alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hanlin.tasks.padding import pad


def spread(lengths: Sequence[int], count: int) -> list[int]:
    """At most `count` indices whose lengths follow the distribution of all: evenly spaced in order of length."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    if len(order) <= count:
        return order
    return [order[int((i + 0.5) * len(order) / count)] for i in range(count)]


def rectangle(
    rows: Sequence[Sequence[int]], pad_id: int, *, extra: int = 0, has_types: bool = False, types: Sequence[Sequence[int]] = ()
) -> dict[str, npt.NDArray[np.int64]]:  # fmt: skip
    """The arrays of a step, `(rows, longest + extra) int64`, padded on the right; token types, where they are read: as given, else 0."""
    arrays = pad(rows, pad_id, (types or [[0] * len(row) for row in rows]) if has_types else None)
    more = ((0, 0), (0, extra))
    return {name: np.pad(array, more, constant_values=pad_id if name == "input_ids" else 0) for name, array in arrays.items()}
