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

    They differ by the Kullback–Leibler divergence of the two distributions as far as what is named shows it, never more than over the
    whole vocabulary: over the tokens that both name and one more for all others; or over all that the reference names, where a token that
    is not named in turn is no likelier than the last that is; whichever is more. Source: Cover and Thomas, Elements of Information Theory
    (2006), 2.7 and 2.8.
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
        is_named, p, chances = is_same.any(axis=2), np.exp(reference[:, 1::2]), np.exp(found[:, 1::2])
        q = (is_same * chances[:, None]).sum(axis=2)
        others = 1 - q.sum(axis=1, keepdims=True)
        common = _divergence(np.where(is_named, p, 0.0), q, others)
        named = _divergence(p, np.where(is_named, q, chances.min(axis=1, keepdims=True)), others)
        return np.asarray(np.maximum(common, named).clip(0.0, 1.0))

    def closeness(self, found: Numbers, reference: Numbers) -> float:
        """See `Likeness`: the share of places with the same likeliest token."""
        return float((found[:, 0] == reference[:, 0]).mean()) if len(found) else 1.0


def _divergence(p: Numbers, q: Numbers, others: Numbers) -> Numbers:
    """Nats of each place: of chances `p` from `q`, (places, tokens), and of what is left of them from `others`, (places, 1)."""
    p, q = (np.concatenate(each, axis=1).clip(1e-12, 1.0) for each in ((p, 1 - p.sum(axis=1, keepdims=True)), (q, others)))
    return np.asarray((p * (np.log(p) - np.log(q))).sum(axis=1))


NEXT_TOKENS = NextTokenLikeness()
