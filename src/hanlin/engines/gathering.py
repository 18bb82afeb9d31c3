"""The rows of one call out of the batches they ran in, in the call's order; windows of long texts become one row again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hanlin.networks.head import TOKENS
from hanlin.tasks.base import Row, Task
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.sequences import RAGGED, stack

Outputs = Mapping[str, npt.NDArray[np.floating]]
Found = tuple[Outputs, int]  # what a batch gave, and the row's place in it


def gather(task: Task, encoded: Encoded, found: Sequence[Found | None]) -> Outputs:
    """The outputs of a call, one row a text; outputs of tokens end with the longest of these rows. Every row must have been found.

    Vectors of tokens come alone, as (tokens of all texts, size).
    """
    parts = [part for part in found if part is not None]
    if encoded.with_tokens:  # one after the other, for padding a few words to the longest text would take a hundred times the memory
        own = zip(parts, encoded.rows, strict=True)
        return {TOKENS: np.concatenate([outputs[TOKENS][place, : len(row)] for (outputs, place), row in own])}
    if len(parts) == 1:
        outputs, place = parts[0]
        return {name: values[place : place + 1] for name, values in outputs.items()}
    rows, lengths = [_row(part) for part in parts], [len(row) for row in encoded.rows]
    if encoded.windows:
        rows, lengths = _merge(task, encoded, rows, lengths)
    longest = max(lengths)
    return {
        name: stack([row[name] for row in rows]) if name in RAGGED else np.stack([_fitted(row[name], longest) for row in rows])
        for name in rows[0]
        if all(name in row for row in rows)  # of rows that were read beside others, what those have alone
    }


def together(parts: Sequence[Found]) -> Outputs | None:
    """These rows of one step as one array; None where outputs belong to tokens, whose rows end at different places."""
    outputs = parts[0][0]
    if any(values.ndim != 2 for values in outputs.values()) or any(other is not outputs for other, _ in parts):
        return None
    places = [place for _, place in parts]
    return {name: values[places] for name, values in outputs.items()}


def without_tokens(outputs: Outputs) -> Outputs:
    """What a step gave, for the calls that did not ask for vectors of tokens."""
    return {name: values for name, values in outputs.items() if name != TOKENS}


def _fitted(values: npt.NDArray[np.floating], longest: int) -> npt.NDArray[np.floating]:
    """(labels,) as it is; (tokens, labels) with as many tokens as the call's longest row, whatever the batch was padded to."""
    if values.ndim == 1 or len(values) == longest:
        return values
    if len(values) > longest:
        return values[:longest]
    return np.pad(values, ((0, longest - len(values)), (0, 0)))


def _row(part: Found) -> Row:
    outputs, place = part
    return {name: values[place] for name, values in outputs.items()}


def _merge(task: Task, encoded: Encoded, rows: list[Row], lengths: list[int]) -> tuple[list[Row], list[int]]:
    """Rows and their lengths, one a text."""
    merged: list[Row] = []
    merged_lengths: list[int] = []
    start = 0
    while start < len(rows):
        windows = encoded.windows.get(len(merged))
        end = start + (len(windows) if windows else 1)
        merged.append(task.merge(windows, rows[start:end]) if windows else rows[start])
        merged_lengths.append(lengths[start] + (windows[-1].end - windows[0].end if windows else 0))
        start = end
    return merged, merged_lengths
