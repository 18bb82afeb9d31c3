"""Rules for labels: what may be one, and how a Hugging Face config names those of its head."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.types import JsonObject, shorten

MAX_LABELS = 10_000
MAX_LABEL_CHARACTERS = 200


def normalize_label(label: str) -> str:
    """The label stripped, in NFC. Raises InvalidInput (`invalid_label`) when it is empty, too long or has control characters."""
    if len(label) > 4 * MAX_LABEL_CHARACTERS:  # before any work on a megabyte of label
        raise InvalidInput("invalid_label", label=shorten(label), limit=MAX_LABEL_CHARACTERS)
    clean = unicodedata.normalize("NFC", label.strip())
    is_printable = not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in clean)
    if not clean or len(clean) > MAX_LABEL_CHARACTERS or not is_printable:
        raise InvalidInput("invalid_label", label=shorten(label), limit=MAX_LABEL_CHARACTERS)
    return clean


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels themselves. Raises InvalidInput (`invalid_labels`, `invalid_label`) for none, too many, twins or unclean ones."""
    if not 1 <= len(labels) <= MAX_LABELS:
        raise InvalidInput("invalid_labels", problem=f"{len(labels)} labels, where 1 to {MAX_LABELS:,} are allowed")
    for label in labels:
        if normalize_label(label) != label:
            raise InvalidInput("invalid_label", label=shorten(label), limit=MAX_LABEL_CHARACTERS)
    if len(set(labels)) < len(labels):
        twice = next(label for index, label in enumerate(labels) if label in labels[:index])
        raise InvalidInput("invalid_labels", problem=f"label {shorten(twice)} stands there twice")
    return tuple(labels)


def labels_from_config(config: JsonObject, *, num_outputs: int | None = None) -> tuple[str, ...]:
    """The labels of a Hugging Face `config.json` in the order of its head.

    Args:
        num_outputs: rows of the classification head, when known.

    Raises:
        InvalidInput: `invalid_labels` for a map with gaps, duplicates, foreign types, a `label2id` or head that does not fit.
    """
    id2label = config.get("id2label")
    if not isinstance(id2label, dict) or not id2label:
        raise InvalidInput("invalid_labels", problem="config.json has no id2label")
    if len(id2label) > MAX_LABELS:
        raise InvalidInput("invalid_labels", problem=f"{len(id2label)} labels, where 1 to {MAX_LABELS:,} are allowed")
    if not all(isinstance(label, str) for label in id2label.values()):
        raise InvalidInput("invalid_labels", problem="id2label has a label that is not a string")
    if set(id2label) != {str(index) for index in range(len(id2label))}:
        raise InvalidInput("invalid_labels", problem=f"the ids of id2label are not 0 to {len(id2label) - 1} without gaps")
    labels = check_labels([cast("str", id2label[str(index)]) for index in range(len(id2label))])
    label2id = config.get("label2id")
    if label2id is not None and label2id != {label: index for index, label in enumerate(labels)}:
        raise InvalidInput("invalid_labels", problem="label2id is not the inverse of id2label")
    if num_outputs is not None and num_outputs != len(labels):
        raise InvalidInput("invalid_labels", problem=f"{len(labels)} labels for a head of {num_outputs} outputs")
    return labels
