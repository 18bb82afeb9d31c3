"""Outputs of tokens that came in windows, as one row of the whole text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hanlin.tasks.base import Row
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
