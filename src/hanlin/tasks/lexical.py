"""Search by words alone: BM25 over the passages of one call. Chinese and Japanese by characters and their pairs.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), with k1 = 1.2 and b = 0.75.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

K1, B = 1.2, 0.75
_HAN = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_RUN = re.compile(f"([{_HAN}]+)|[^\\W_{_HAN}]+")


def order(question: str, passages: Sequence[str]) -> list[int]:
    """Places of the passages, the best first; equal ones as they came."""
    asked = set(terms(question))
    counts = list(map(_counted, passages))
    lengths = [count.total() for count in counts]
    mean = sum(lengths) / max(1, len(lengths)) or 1.0
    holding = Counter(term for count in counts for term in asked & count.keys())
    weights = {term: rarity(len(passages), number) for term, number in holding.items()}
    scores = [
        sum(
            weight * count[term] * (K1 + 1) / (count[term] + K1 * (1 - B + B * length / mean))
            for term, weight in weights.items()
            if term in count
        )
        for count, length in zip(counts, lengths, strict=True)
    ]
    return sorted(range(len(passages)), key=lambda place: -scores[place])


def rarity(num_texts: int, num_holding: int) -> float:
    """What a term weighs that so many of the texts hold."""
    return math.log1p((num_texts - num_holding + 0.5) / (num_holding + 0.5))


@functools.lru_cache(maxsize=2 * 4096)  # of sets that are asked about again and again: some 40 MB
def _counted(passage: str) -> Counter[str]:
    return Counter(terms(passage))


def terms(text: str) -> Iterator[str]:
    """What is looked for: words without case; of scripts without spaces, characters and their pairs."""
    for match in _RUN.finditer(text.casefold()):
        yield from match[0] if match[1] else (match[0],)
        if match[1]:
            yield from map("".join, pairwise(match[0]))
