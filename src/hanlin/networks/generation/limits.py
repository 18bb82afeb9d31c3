"""What may not be written next: repetition, runs, early ends, banned tokens, forms that a grammar does not know.

Source: the order and the arithmetic of transformers' logits processors, so that the same settings give the same answers; penalties of
presence and frequency and biases, which it lacks, stand behind the penalty of repetition, as OpenAI's reference defines them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hanlin.generation import GenerationSettings
from hanlin.networks.generation.form import Form

_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Row:
    """One row to be written.

    Attributes:
        number: its place among the rows that were asked for.
        before: ids that stand before the first that is written.
        stops: ids that end it.
        room: most ids that may be written.
        form: of what stands behind `settings.prefix`.
    """

    number: int
    settings: GenerationSettings
    before: tuple[int, ...]
    stops: frozenset[int]
    room: int
    form: Form | None = None

    def is_over(self, written: Sequence[int]) -> bool:
        """Whether its form ends it, with or without a token that says so."""
        behind = len(self.settings.prefix)
        return self.form is not None and len(written) > behind and self.form.must_end(written[behind:])


def limit(scores: Tensor, row: Row, written: Sequence[int]) -> None:
    """Change the scores of the next token, (vocabulary,) float32, in place: what may not come is -inf."""
    settings, place = row.settings, len(written)
    if settings.repetition_penalty != 1.0:
        _penalize(scores, (*row.before, *written), settings.repetition_penalty)
    if settings.presence_penalty or settings.frequency_penalty:
        _weigh(scores, written, settings)
    if biased := [each for each in settings.logit_bias if each[0] < len(scores)]:
        ids, biases = zip(*biased, strict=True)
        scores.index_add_(0, torch.tensor(ids), torch.tensor(biases, dtype=scores.dtype))
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
    elif row.form is not None:
        _fit(scores, row.form, written[len(settings.prefix) :], row.stops)


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


def _weigh(scores: Tensor, written: Sequence[int], settings: GenerationSettings) -> None:
    counts = Counter(written)
    if counts:
        loss = torch.tensor(list(counts.values())) * settings.frequency_penalty + settings.presence_penalty
        scores[torch.tensor(list(counts))] -= loss.to(scores.dtype)


def _fit(scores: Tensor, form: Form, written: Sequence[int], stops: frozenset[int]) -> None:
    """Nothing but what the form allows, even if all of it was forbidden before."""
    bits = np.unpackbits(form.allowed(written), bitorder="little")[: len(scores)].astype(bool)
    allowed = torch.zeros(len(scores), dtype=torch.bool)
    allowed[: len(bits)] = torch.from_numpy(bits)
    if known := [token for token in stops if token < len(scores)]:
        allowed[torch.tensor(known)] = form.may_end(written)
    scores.masked_fill_(~allowed, _NEVER)
    if not bool(scores.isfinite().any()):
        scores[allowed] = 0.0


def _forbid(scores: Tensor, ids: Sequence[int]) -> None:
    if known := [token for token in ids if token < len(scores)]:
        scores[torch.tensor(known)] = _NEVER


def _allow(scores: Tensor, ids: Sequence[int]) -> None:
    """Nothing but `ids`, even if all of them were forbidden before; a single one has chance 1."""
    index = torch.tensor(ids)
    found = scores[index]
    if len(ids) == 1 or not bool(found.isfinite().any()):
        found = torch.zeros_like(found)
    scores.fill_(_NEVER)
    scores[index] = found
