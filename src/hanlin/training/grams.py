"""Texts as sparse rows of weighted n-grams, for linear models that are fitted in seconds. Knows no labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hanlin.datasets.shingles import units_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

COLUMNS = 2**18  # buckets; two n-grams in one bucket are one feature
LONGEST = 3  # units of an n-gram: characters of Chinese, words of English
_AT_ONCE = 4096
_ODD = np.uint64(0x9E3779B97F4A7C15)


def weighted_grams(texts: Sequence[str]) -> csr_matrix:
    """(texts, n-grams that two texts have) float32 rows of length 1: 1 + log(count), times the rarity of the n-gram (TF-IDF).

    A unit is what `datasets/shingles.py` means by it, so runs of 1 to 3 characters of Chinese and of 1 to 3 words of other languages.
    """
    from scipy.sparse import diags, vstack

    counts = vstack([_counts(texts[low : low + _AT_ONCE]) for low in range(0, len(texts), _AT_ONCE)], format="csr")
    spread = np.bincount(counts.indices, minlength=COLUMNS)
    counts, spread = counts[:, spread > 1].tocsr(), spread[spread > 1]  # what one text alone has tells nothing of another
    rarity = np.log((1 + len(texts)) / (1 + spread)) + 1
    counts.data = (1 + np.log(counts.data)) * rarity[counts.indices].astype(np.float32)
    lengths = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
    return diags(1 / np.maximum(lengths, 1e-9)).dot(counts).astype(np.float32).tocsr()


def _counts(texts: Sequence[str]) -> csr_matrix:
    from scipy.sparse import csr_matrix

    units, owners, _ = units_of(texts)
    rows, columns, grams = [], [], units
    for size in range(1, LONGEST + 1):
        if size > 1:
            grams = grams[:-1] * _ODD + units[size - 1 :]
        whole = owners[: len(grams)] == owners[size - 1 :]
        rows.append(owners[: len(grams)][whole])
        columns.append(((grams[whole] * _ODD) >> np.uint64(64 - 18)).astype(np.int64))
    row, column = np.concatenate(rows), np.concatenate(columns)
    found = csr_matrix((np.ones(len(row), dtype=np.float32), (row, column)), shape=(len(texts), COLUMNS))
    found.sum_duplicates()
    return found
