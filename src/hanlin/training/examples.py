"""Texts and labels as ids."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hanlin.errors import InvalidInput
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.labelled import Gold, problem_of
from hanlin.tasks.pairs import encode_singles_or_pairs
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text_classification import gold_array
from hanlin.training.ports import Rows

CHUNK = 1024


@dataclass(frozen=True, slots=True)
class TrainData:
    """What a run learns from: `labels` fix the order of the model's outputs."""

    train: Rows
    validation: Rows
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows of token ids, packed in 32 bits each, with the index of their label.

    Args:
        types: token types of the rows, for a network that reads them.
        truth: what is right where it is no index: truths `(rows, labels)` or scores `(rows, 1)`, float32; `gold` is empty then.
    """

    rows: list[array[int]]
    gold: list[int]
    types: list[array[int]] | None = None
    truth: Tensor | None = None

    @property
    def lengths(self) -> list[int]:
        """Tokens of every row."""
        return [len(row) for row in self.rows]


def check_rows(data: TrainData) -> None:
    """Raises InvalidInput (`nothing_to_learn`) when a split has no row."""
    if not data.train.texts or not data.validation.texts:
        train, validation = len(data.train.texts), len(data.validation.texts)
        raise InvalidInput("nothing_to_learn", problem="a split has no rows", train=train, validation=validation)


def check_data(data: TrainData, golds: Sequence[Gold]) -> None:
    """Raises InvalidInput (`nothing_to_learn`) when there is no row, or nothing that differs among the training rows."""
    check_rows(data)
    problem, kinds = "", problem_of(golds)
    if kinds == "regression" and len({gold.score for gold in golds}) < 2:
        problem = "the training rows have one score only"
    elif kinds != "regression" and len({label for gold in golds for label in gold.labels}) < (1 if kinds == "multi-label" else 2):
        problem = "the training rows have one label only"
    if problem:
        raise InvalidInput("nothing_to_learn", problem=problem, train=len(data.train.texts), validation=len(data.validation.texts))


def encode(rows: Rows, golds: Sequence[Gold], spec: ModelSpec, encoder: TextEncoder) -> Examples:
    """Ids of every row, cut to the encoder's length. Raises InvalidInput (`foreign_label`, or what the encoder says)."""
    found = gold_array(golds, spec.labels, is_several=spec.problem == "multi-label")
    ids: list[array[int]] = []
    types: list[array[int]] = []
    for start in range(0, len(rows.texts), CHUNK):
        pairs = [gold.pair for gold in golds[start : start + CHUNK]]
        part = encode_singles_or_pairs(encoder, spec, rows.texts[start : start + CHUNK], pairs, "truncate", max_windows=None)
        ids += [array("i", row) for row in part.rows]
        types += [array("i", row) for row in part.types or ()]
    if spec.problem == "single-label":
        return Examples(ids, found.tolist(), types or None)
    return Examples(ids, [], types or None, torch.from_numpy(found.astype("float32")).reshape(len(ids), -1))


def class_weights(gold: Sequence[int], num_labels: int) -> Tensor:
    """Weights that make every class count alike: rows / (labels x rows of the class). (labels,) float32."""
    counts = torch.bincount(torch.tensor(gold), minlength=num_labels).clamp(min=1)
    return len(gold) / (num_labels * counts.float())


def flag_weights(truth: Tensor) -> Tensor:
    """How much more rows with a label count than rows without it, so that both sides count alike; 1 to 100. (labels,) float32."""
    having = truth.sum(0)
    return ((len(truth) - having) / having.clamp(min=1)).clamp(1, 100)
