"""The rows a compression judges, measures and calibrates on: a dataset's, or made sentences where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hanlin.compression.base import MAX_CALIBRATION_ROWS
from hanlin.compression.search import EncodedSplit
from hanlin.datasets import Split, read_split
from hanlin.pipelines.odd_texts import varied_texts
from hanlin.tasks.base import TASKS, Limits
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec

MAX_JUDGING_ROWS = 10_000
MAX_JUDGING_ROWS_OF_TOKENS = 1_000  # every token has numbers of its own
LIKENESS_ROWS = 1_000  # at least so many rows stand behind a declared tolerance, where the dataset has them
MADE_ROWS = 300
_NO_LIMITS = Limits(max_items=2**31, max_text_bytes=2**31)


@dataclass(frozen=True, slots=True)
class JudgingRows:
    """Token ids of rows, see `compression.search.search`."""

    validation: EncodedSplit
    test: EncodedSplit
    calibration: list[list[int]]
    more: list[list[int]]


def dataset_rows(folder: Path, spec: ModelSpec, encoder: TextEncoder, *, has_gold: bool) -> JudgingRows:
    """Rows of a dataset; without gold it lends its texts only, because it was labelled for another task."""
    limit = MAX_JUDGING_ROWS_OF_TOKENS if TASKS.get(spec.task).head == "tokens" else MAX_JUDGING_ROWS

    def encoded(rows: Split) -> EncodedSplit:
        gold = np.array([spec.labels.index(label) for label in rows.labels[:limit]], dtype=np.int64) if has_gold else None
        return EncodedSplit(rows_of(rows.texts[:limit], spec, encoder), gold)

    validation, test = encoded(read_split(folder, "validation")), encoded(read_split(folder, "test"))
    used, others = _dealt(read_split(folder, "train").texts, LIKENESS_ROWS - len(validation.ids))
    return JudgingRows(validation, test, rows_of(used, spec, encoder), rows_of(others, spec, encoder))


def made_rows(spec: ModelSpec, encoder: TextEncoder) -> JudgingRows:
    """Made sentences, alone and several in a row, to judge and to calibrate on; nothing is chosen on them that needs a test."""
    texts = varied_texts(2 * MADE_ROWS)
    judged, calibration = (rows_of(part, spec, encoder) for part in (texts[::2], texts[1::2]))
    return JudgingRows(EncodedSplit(judged), EncodedSplit([]), calibration, [])


def rows_of(texts: Sequence[str], spec: ModelSpec, encoder: TextEncoder) -> list[list[int]]:
    """The rows that the task makes of texts when it is asked about them one by one."""
    if not texts:
        return []
    task = TASKS.get(spec.task)
    return task.encode(task.check(*task.probe(texts), limits=_NO_LIMITS), encoder, spec).rows


def _dealt(texts: Sequence[str], count: int) -> tuple[list[str], list[str]]:
    """(at most 300 for calibration, at most `count` others), each evenly from the whole list."""
    used = _spread(range(len(texts)), MAX_CALIBRATION_ROWS)
    seen = frozenset(used)
    others = _spread([index for index in range(len(texts)) if index not in seen], max(count, 0))
    return [texts[index] for index in used], [texts[index] for index in others]


def _spread(indices: Sequence[int], count: int) -> list[int]:
    """`count` of the indices, evenly."""
    if len(indices) <= count:
        return list(indices)
    return [indices[number * len(indices) // count] for number in range(count)]
