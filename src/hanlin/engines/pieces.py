"""A batch in pieces, for threads that compute side by side, and their outputs as those of the whole. Knows no engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hanlin.engines.base import Floats

PIECE_TOKENS = 512  # inner values of one piece (512 x 1,536 floats for MiniLM) stay in a core's cache


def cut(lengths: npt.NDArray[np.int64], parts: int, piece_tokens: int = PIECE_TOKENS) -> list[npt.NDArray[np.int64]]:
    """Rows by length in pieces of at most `piece_tokens`, padding included, and in at least `parts` pieces of about the same size."""
    order = np.argsort(lengths, kind="stable")
    limit = max(1, min(piece_tokens, -(-int(lengths.sum()) // parts)))
    pieces: list[list[int]] = [[]]
    for row in order.tolist():
        if pieces[-1] and (len(pieces[-1]) + 1) * int(lengths[row]) > limit:
            pieces.append([])
        pieces[-1].append(row)
    return [np.array(piece) for piece in pieces]


def together(found: Sequence[Floats], pieces: list[npt.NDArray[np.int64]], shape: tuple[int, ...]) -> Floats:
    """The pieces' outputs in the order of the batch, which has `shape` (rows, length); outputs of tokens get the batch's own length."""
    is_by_token = found[0].ndim == 3
    answers = np.zeros((*shape, found[0].shape[2]) if is_by_token else (shape[0], found[0].shape[1]), dtype=np.float32)
    for rows, values in zip(pieces, found, strict=True):
        if is_by_token:
            answers[rows, : values.shape[1]] = values[:, : shape[1]]
        else:
            answers[rows] = values
    return answers
