"""How alike two runs of a language model are: what they think comes next, at each place of the same texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from hanlin.tasks.likeness import Numbers, Raw

COUNT = 8  # likeliest tokens that are compared
NEAR = 0.1  # nats: a divergence below is the same to a reader; a coin that falls 60 to 40 instead of even is 0.02


class NextTokenLikeness:
    """Rows are places: ids and logarithms of chances of the likeliest tokens, (places, 2 x 8).

    They differ by the Kullback–Leibler divergence of the two distributions over the tokens that both name, and one more for all others:
    never more than the divergence over the whole vocabulary. Source: Cover and Thomas, Elements of Information Theory (2006), 2.7 and 2.8.
    """

    def of(self, places: Sequence[Sequence[tuple[int, float]]]) -> Numbers:
        """What a model named at each place."""
        return np.array([[*chain.from_iterable(place)] for place in places], dtype=np.float64).reshape(len(places), 2 * COUNT)

    def numbers(self, raw: Raw) -> Numbers:
        """The likeliest tokens of scores of the whole vocabulary, (places, vocabulary)."""
        logs = raw.astype(np.float64)
        logs -= logs.max(axis=1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
        ids = np.argsort(-logs, axis=1, kind="stable")[:, :COUNT]
        found = np.full((len(raw), 2 * COUNT), -np.inf)
        found[:, ::2] = -1
        found[:, : 2 * ids.shape[1] : 2] = ids
        found[:, 1 : 2 * ids.shape[1] : 2] = np.take_along_axis(logs, ids, axis=1)
        return found

    def agree(self, found: Numbers, reference: Numbers) -> npt.NDArray[np.bool_]:
        """See `Likeness`: less than a tenth of a nat apart."""
        return np.asarray(self.differ(found, reference) < NEAR)

    def differ(self, found: Numbers, reference: Numbers) -> Numbers:
        """See `Likeness`: nats, at most 1."""
        is_same = reference[:, ::2, None] == found[:, None, ::2]  # (places, 8, 8)
        p = np.where(is_same.any(axis=2), np.exp(reference[:, 1::2]), 0.0)
        q = (is_same * np.exp(found[:, None, 1::2])).sum(axis=2)
        p, q = (np.concatenate([each, 1 - each.sum(axis=1, keepdims=True)], axis=1).clip(1e-12, 1.0) for each in (p, q))
        return np.asarray((p * (np.log(p) - np.log(q))).sum(axis=1).clip(0.0, 1.0))

    def closeness(self, found: Numbers, reference: Numbers) -> float:
        """See `Likeness`: the share of places with the same likeliest token."""
        return float((found[:, 0] == reference[:, 0]).mean()) if len(found) else 1.0


NEXT_TOKENS = NextTokenLikeness()
