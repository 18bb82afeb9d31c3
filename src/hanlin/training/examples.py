"""Texts and labels as ids."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hanlin.errors import InvalidInput
from hanlin.tasks.encoding import TextEncoder
from hanlin.training.ports import Rows
from hanlin.types import shorten

CHUNK = 1024


@dataclass(frozen=True, slots=True)
class TrainData:
    """What a run learns from: `labels` fix the order of the model's outputs."""

    train: Rows
    validation: Rows
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows of token ids, packed in 32 bits each, with the index of their label."""

    rows: list[array[int]]
    gold: list[int]

    @property
    def lengths(self) -> list[int]:
        """Tokens of every row."""
        return [len(row) for row in self.rows]


def check_data(data: TrainData) -> None:
    """Raises InvalidInput (`nothing_to_learn`) when there is no row, or fewer than two labels among the training rows."""
    if not data.train.texts or not data.validation.texts:
        raise InvalidInput(
            "nothing_to_learn", problem="a split has no rows", train=len(data.train.texts), validation=len(data.validation.texts)
        )
    if len(set(data.train.labels)) < 2:
        raise InvalidInput(
            "nothing_to_learn",
            problem="the training rows have one label only",
            train=len(data.train.texts),
            validation=len(data.validation.texts),
        )


def encode(rows: Rows, labels: Sequence[str], encoder: TextEncoder) -> Examples:
    """Ids of every row, cut to the encoder's length. Raises InvalidInput (`foreign_label`, or what the encoder says)."""
    index = {label: number for number, label in enumerate(labels)}
    for label in rows.labels:
        if label not in index:
            raise InvalidInput("foreign_label", label=shorten(label))
    ids: list[array[int]] = []
    for start in range(0, len(rows.texts), CHUNK):
        ids += [array("i", row) for row in encoder.encode(rows.texts[start : start + CHUNK], truncate=True)]
    return Examples(ids, [index[label] for label in rows.labels])


def class_weights(gold: Sequence[int], num_labels: int) -> Tensor:
    """Weights that make every class count alike: rows / (labels x rows of the class). (labels,) float32."""
    counts = torch.bincount(torch.tensor(gold), minlength=num_labels).clamp(min=1)
    return len(gold) / (num_labels * counts.float())
