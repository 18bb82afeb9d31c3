"""Search by words alone: BM25 over the passages of one call. Chinese and Japanese by characters and their pairs.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), with k1 = 1.2 and b = 0.75.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

K1, B = 1.2, 0.75
_HAN = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_RUN = re.compile(f"([{_HAN}]+)|[^\\W_{_HAN}]+")


def order(question: str, passages: Sequence[str]) -> list[int]:
    """Places of the passages, the best first; equal ones as they came."""
    asked = np.unique(np.fromiter(map(hash, terms(question)), dtype=np.int64))
    if not len(asked) or not passages:
        return list(range(len(passages)))
    counted = list(map(_counted, passages))
    keys, numbers = (np.concatenate(parts) for parts in zip(*counted, strict=True))
    owners = np.repeat(np.arange(len(counted)), [len(own) for own, _ in counted])
    lengths = np.bincount(owners, weights=numbers, minlength=len(counted))
    places = np.minimum(np.searchsorted(asked, keys), len(asked) - 1)
    is_asked = asked[places] == keys
    terms_of, owners, often = places[is_asked], owners[is_asked], numbers[is_asked].astype(np.float64)
    weights = rarity(len(counted), np.bincount(terms_of, minlength=len(asked)))
    norms = K1 * (1 - B + B * lengths / (lengths.mean() or 1.0))
    scores = np.bincount(owners, weights=weights[terms_of] * often * (K1 + 1) / (often + norms[owners]), minlength=len(counted))
    found: list[int] = np.argsort(-scores, kind="stable").tolist()
    return found


def rarity(num_texts: int, num_holding: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """What terms weigh that so many of the texts hold."""
    weights: npt.NDArray[np.float64] = np.log1p((num_texts - np.asarray(num_holding) + 0.5) / (np.asarray(num_holding) + 0.5))
    return weights


@functools.lru_cache(maxsize=2 * 4096)  # of sets that are asked about again and again: at most some 60 MB
def _counted(passage: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
    """Hashes of its terms, and how often each stands there: a tenth of the room that the terms themselves take."""
    found = Counter(map(hash, terms(passage)))
    return np.fromiter(found.keys(), np.int64, len(found)), np.fromiter(found.values(), np.uint32, len(found))


def terms(text: str) -> Iterator[str]:
    """What is looked for: words without case; of scripts without spaces, characters and their pairs."""
    for match in _RUN.finditer(text.casefold()):
        yield from match[0] if match[1] else (match[0],)
        if match[1]:
            yield from map("".join, pairwise(match[0]))
