"""What may not be written next: repetition, runs, early ends, banned tokens, forms that a grammar does not know.

Source: the order and the arithmetic of transformers' logits processors, so that the same settings give the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hanlin.generation import GenerationSettings

_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Row:
    """One row to be written.

    Attributes:
        number: its place among the rows that were asked for.
        before: ids that stand before the first that is written.
        stops: ids that end it.
        room: most ids that may be written.
    """

    number: int
    settings: GenerationSettings
    before: tuple[int, ...]
    stops: frozenset[int]
    room: int


def limit(scores: Tensor, row: Row, written: Sequence[int]) -> None:
    """Change the scores of the next token, (vocabulary,) float32, in place: what may not come is -inf."""
    settings, place = row.settings, len(written)
    if settings.repetition_penalty != 1.0:
        _penalize(scores, (*row.before, *written), settings.repetition_penalty)
    if settings.no_repeat_ngram:
        _forbid(scores, repeated((*row.before, *written), settings.no_repeat_ngram))
    if settings.banned_ids:
        _forbid(scores, settings.banned_ids)
    if place < settings.min_new_tokens:
        _forbid(scores, tuple(row.stops))
    if place < len(settings.prefix):
        _allow(scores, (settings.prefix[place],))
    elif settings.grammar is not None:
        allowed = settings.grammar.allowed(written[len(settings.prefix) :], row.room - place)
        if allowed is not None:
            _allow(scores, tuple(allowed) or (min(row.stops),))


def repeated(ids: Sequence[int], size: int) -> tuple[int, ...]:
    """Ids that would repeat a run of `size` tokens of `ids`."""
    if len(ids) < size:
        return ()
    tail = tuple(ids[len(ids) - size + 1 :])
    return tuple(ids[end] for end in range(size - 1, len(ids)) if tuple(ids[end - size + 1 : end]) == tail)


def _penalize(scores: Tensor, ids: Sequence[int], penalty: float) -> None:
    index = torch.tensor(sorted(set(ids)))
    found = scores[index]
    scores[index] = torch.where(found < 0, found * penalty, found / penalty)


def _forbid(scores: Tensor, ids: Sequence[int]) -> None:
    if ids:
        scores[torch.tensor(ids)] = _NEVER


def _allow(scores: Tensor, ids: Sequence[int]) -> None:
    """Nothing but `ids`, even if all of them were forbidden before; a single one has chance 1."""
    index = torch.tensor(ids)
    found = scores[index]
    if len(ids) == 1 or not bool(found.isfinite().any()):
        found = torch.zeros_like(found)
    scores.fill_(_NEVER)
    scores[index] = found
