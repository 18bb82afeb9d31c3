"""An index of words over many texts: which of them share rare words with a query. Finds hard negatives where examples bring none.

The rule is that of `lexical.py`, which searches the passages of one call; here the texts are indexed once and asked about many times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from hanlin.tasks.lexical import K1, B, rarity, terms

MAX_CHARACTERS = 2_000  # of a text, from its beginning


class WordIndex:
    """BM25 over texts: words of scripts with spaces, pairs of characters of those without."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(terms(text[:MAX_CHARACTERS])) for text in texts]
        lengths = np.array([sum(count.values()) for count in counts], dtype=np.float64)
        norms = K1 * (1 - B + B * lengths / max(float(lengths.mean()) if len(texts) else 1.0, 1.0))
        places: dict[str, tuple[list[int], list[int]]] = {}
        for place, count in enumerate(counts):
            for term, number in count.items():
                found = places.setdefault(term, ([], []))
                found[0].append(place)
                found[1].append(number)
        self._num_texts = len(texts)
        self._weights = {}
        for term, (own, numbers) in places.items():
            often = np.array(numbers, dtype=np.float64)
            self._weights[term] = (np.array(own), rarity(len(texts), len(own)) * often * (K1 + 1) / (often + norms[own]))

    def nearest(self, query: str, count: int, *, besides: Collection[int] = ()) -> list[int]:
        """Places of at most `count` texts that share a term with `query`, best first, without those `besides`."""
        scores = np.zeros(self._num_texts)
        for term in set(terms(query[:MAX_CHARACTERS])):
            if term in self._weights:
                places, weights = self._weights[term]
                scores[places] += weights
        scores[[*besides]] = 0
        found = np.flatnonzero(scores)
        if len(found) > count > 0:
            least = np.partition(scores[found], -count)[-count]
            found = np.flatnonzero(scores >= least)
        order: list[int] = found[np.argsort(-scores[found], kind="stable")].tolist()
        return order[:count]
