"""Outputs of tokens: those that came in windows as one row of the whole text, and the label of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hanlin.tasks.base import Row
from hanlin.tasks.encoded import Marks
from hanlin.tasks.likeness import LABELS, Numbers
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.windows import Window


def merge_token_rows(windows: Sequence[Window], rows: Sequence[Row]) -> Row:
    """Each token from the window whose own it is, special tokens from the first and the last: `token_logits` (tokens, labels)."""
    first, last = windows[0], windows[-1]
    values = [row["token_logits"] for row in rows]
    own = [
        row[window.place + window.own_start - window.start : window.place + window.own_end - window.start]
        for window, row in zip(windows, values, strict=True)
    ]
    return {"token_logits": np.concatenate([values[0][: first.place], *own, values[-1][last.place + last.end - last.start :]])}


def best_labels(logits: npt.NDArray[np.floating], marks: Marks, spec: ModelSpec) -> tuple[Numbers, list[int]]:
    """Scores (tokens, labels) of a row and the label of each token; those of special tokens mean nothing.

    Where the version has a chain, the best row of labels, and each score is the label's chance beside all the others.
    """
    if spec.chain is None:
        numbers = LABELS.numbers(logits)
        return numbers, [int(label) for label in numbers.argmax(axis=1)]
    own = [place for place, span in enumerate(marks.spans) if span is not None]
    scores, path = np.zeros(logits.shape), [0] * len(logits)
    if not own:
        return scores, path
    best, scores[own] = spec.chain.read(logits[own])
    for place, label in zip(own, best, strict=True):
        path[place] = label
    return scores, path
