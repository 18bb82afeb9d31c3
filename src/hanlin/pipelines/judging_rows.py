"""The rows a compression judges, measures and calibrates on: a dataset's, or made sentences where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy.typing as npt

from hanlin.compression.base import MAX_CALIBRATION_ROWS
from hanlin.compression.plan import EncodedSplit
from hanlin.datasets import Split, read_split
from hanlin.engines.asking import NO_LIMITS
from hanlin.generation import GenerationSettings
from hanlin.pipelines.data import questions_of
from hanlin.pipelines.odd_texts import varied_texts
from hanlin.registry.values import DatasetVersion
from hanlin.tasks.base import TASKS, WRITING_HEADS
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.labelled import read_gold
from hanlin.tasks.problems import head_of
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text_classification import gold_array
from hanlin.types import JsonValue

MAX_JUDGING_ROWS = 10_000
MAX_JUDGING_ROWS_OF_TOKENS = 1_000  # every token has numbers of its own
MAX_JUDGING_ROWS_OF_WRITERS = 200  # each takes a while to write, or has as many answers as tokens
MAX_JUDGING_ROWS_OF_MASKS = 250  # each becomes several rows, with a score for every word of the vocabulary
LIKENESS_ROWS = 1_000  # at least so many rows stand behind a declared tolerance, where the dataset has them
MADE_ROWS = 300


@dataclass(frozen=True, slots=True)
class JudgingRows:
    """Token ids of rows, see `compression.search.search`."""

    validation: EncodedSplit
    test: EncodedSplit
    calibration: list[list[int]]
    more: EncodedSplit
    writing: GenerationSettings | None = None


def dataset_rows(folder: Path, dataset: DatasetVersion, spec: ModelSpec, encoder: TextEncoder, *, most: int) -> JudgingRows:
    """Rows of a dataset. One that was labelled for another task lends its texts only; where an answer is more than a label, variants
    are judged by their likeness to the trained model. Of each split at most `most` judge, fewer where a row is dear."""
    task = TASKS.get(spec.task)
    limit = min(most, _limit(spec))
    has_gold = dataset.task == spec.task and task.examples.is_classified

    def encoded(rows: Split) -> EncodedSplit:
        golds = [read_gold(annotation) for annotation in rows.labels[:limit]] if has_gold else []
        gold = gold_array(golds, spec.labels, is_several=spec.problem == "multi-label") if has_gold else None
        return split_of(questions_of(rows, dataset, task)[:limit], spec, encoder, gold)

    validation, test = encoded(read_split(folder, "validation")), encoded(read_split(folder, "test"))
    used, others = _dealt(questions_of(read_split(folder, "train"), dataset, task), min(limit, LIKENESS_ROWS) - len(validation.ids))
    calibration = encoded_of(used, spec, encoder)
    return JudgingRows(validation, test, calibration.rows, split_of(others, spec, encoder), _writing(calibration))


def made_rows(spec: ModelSpec, encoder: TextEncoder, *, most: int = MADE_ROWS) -> JudgingRows:
    """Made sentences, alone and several in a row, to judge (at most `most`) and to calibrate on.

    Nothing is chosen on them that needs a test."""
    texts = varied_texts(2 * MADE_ROWS)
    judged, limit = split_of(texts[::2], spec, encoder), min(most, _limit(spec))
    judged = replace(
        judged, ids=judged.ids[:limit], types=judged.types[:limit], questions=judged.questions[:limit], counted=judged.counted[:limit]
    )
    calibration = encoded_of(texts[1::2], spec, encoder)
    return JudgingRows(judged, EncodedSplit([]), calibration.rows, EncodedSplit([]), writing=_writing(calibration))


def _limit(spec: ModelSpec) -> int:
    head = head_of(spec)
    if head in WRITING_HEADS:
        return MAX_JUDGING_ROWS_OF_WRITERS
    if head == "masks":
        return MAX_JUDGING_ROWS_OF_MASKS
    return MAX_JUDGING_ROWS_OF_TOKENS if head in ("tokens", "roles") else MAX_JUDGING_ROWS


def _writing(encoded: Encoded) -> GenerationSettings | None:
    """How a network that writes is asked to, when its variants are judged; None for one that reads."""
    return encoded.generation[0] if encoded.generation else None


def split_of(questions: Sequence[JsonValue], spec: ModelSpec, encoder: TextEncoder, gold: npt.NDArray[Any] | None = None) -> EncodedSplit:
    """Questions as rows that judge; where each is written under a grammar of its own, with the questions, of which grammars are made."""
    found = encoded_of(questions, spec, encoder)
    has_grammars = any(each.grammar is not None or each.constraint is not None for each in found.generation or [])
    return EncodedSplit(found.rows, gold, found.types or (), questions if has_grammars else (), found.counted or ())


def encoded_of(questions: Sequence[JsonValue], spec: ModelSpec, encoder: TextEncoder) -> Encoded:
    """The rows that the task makes of questions asked one by one, with their token types where the model reads some.

    `counted` has an item for each row, also where a long text is several.
    """
    if not questions:
        return Encoded([])
    task = TASKS.get(spec.task)
    has_queries = task.head == "pairs" and spec.vectors is None  # each question its own, where a call has one
    calls = [task.probe([question]) for question in questions] if has_queries else [task.probe(questions)]
    found = [task.encode(task.check(*call, limits=NO_LIMITS), encoder, spec) for call in calls]
    types = [row for item in found for row in item.types or []]
    generation = [each for item in found for each in item.generation or []]
    rows = [row for item in found for row in item.rows]
    counts = iter([is_one for item in found for text in item.counted or [] for is_one in text])
    counted = [[*islice(counts, len(row) - 1)] for row in rows] if found[0].counted is not None else None
    return Encoded(rows, types=types or None, generation=generation or None, counted=counted)


def _dealt(questions: Sequence[JsonValue], count: int) -> tuple[list[JsonValue], list[JsonValue]]:
    """(at most 300 for calibration, at most `count` others), each evenly from the whole list."""
    used = _spread(range(len(questions)), MAX_CALIBRATION_ROWS)
    seen = frozenset(used)
    others = _spread([index for index in range(len(questions)) if index not in seen], max(count, 0))
    return [questions[index] for index in used], [questions[index] for index in others]


def _spread(indices: Sequence[int], count: int) -> list[int]:
    """`count` of the indices, evenly."""
    if len(indices) <= count:
        return list(indices)
    return [indices[number * len(indices) // count] for number in range(count)]
