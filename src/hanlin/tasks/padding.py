"""Rows of token ids, each of its own length, as the rectangular arrays that engines take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def pad(
    batch: Sequence[Sequence[int]], pad_id: int, types: Sequence[Sequence[int]] | None = None
) -> dict[str, npt.NDArray[np.int64]]:  # fmt: skip
    """`input_ids` and `attention_mask`, both `(rows, longest row)` int64, filled on the right with `pad_id` and 0.

    With the rows' token types `token_type_ids` too, filled with 0. They stand in the order in which an engine takes them.
    """
    if len(batch) == 1:  # no padding, and the row of a single caller, who waits for each of the many calls of numpy below: 6 µs → 1
        return _alone(batch[0], types[0] if types is not None else None)
    lengths = np.fromiter((len(row) for row in batch), dtype=np.int64, count=len(batch))
    width = int(lengths.max(initial=0))
    mask = np.arange(width) < lengths[:, None]  # (rows, width)
    ids = np.full((len(batch), width), pad_id, dtype=np.int64)
    ids[mask] = np.fromiter((token for row in batch for token in row), dtype=np.int64, count=int(lengths.sum()))
    arrays = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
    if types is not None:
        kinds = np.zeros((len(batch), width), dtype=np.int64)
        kinds[mask] = np.fromiter((kind for row in types for kind in row), dtype=np.int64, count=int(lengths.sum()))
        arrays["token_type_ids"] = kinds
    return arrays


def _alone(row: Sequence[int], types: Sequence[int] | None) -> dict[str, npt.NDArray[np.int64]]:
    ids, mask = np.empty((1, len(row)), dtype=np.int64), np.empty((1, len(row)), dtype=np.int64)
    ids[0] = row
    mask.fill(1)
    arrays = {"input_ids": ids, "attention_mask": mask}
    if types is not None:
        arrays["token_type_ids"] = np.array(types, dtype=np.int64)[None]
    return arrays
