"""What the token table of a new encoder starts from: vectors of what stands near each token in the text that it is to read.

A masked language model of random weights first spends thousands of steps on finding which tokens are alike; counts say that in seconds.
Source: Levy and Goldberg, Neural Word Embedding as Implicit Matrix Factorization (2014): positive PMI of neighbours, its singular vectors
with the root of the singular values; contexts smoothed by the power 0.75 (Levy, Goldberg and Dagan, 2015, section 3.2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hanlin.training.streams import TokenFile

MAX_TOKENS = 3_000_000  # what comes behind is not counted
CONTEXTS = 4096  # the most frequent tokens, which alone count as neighbours
MAX_CELLS = 80_000_000  # of the table of counts, 4 bytes each
WINDOW, LEAST = 4, 3  # neighbours on each side, the n-th counted 1/n; occurrences below which a token keeps its random vector
SPREAD = 2.0  # of the vectors' numbers, in those of random ones
_CHUNK = 250_000
_OVERSAMPLED, _ROUNDS = 16, 4  # of the randomised decomposition (Halko, Martinsson and Tropp, 2011)


def start_table(table: Tensor, tokens: TokenFile, *, seed: int) -> int:
    """Gives frequent tokens vectors from their neighbours, in place: as long as random ones are, and about no common middle.

    Args:
        table: (vocabulary, size) of random numbers.

    Returns:
        Tokens that have such a vector now; the others, and columns beyond the rank of the counts, stay as they were.
    """
    ids = torch.from_numpy(tokens.read(0, min(len(tokens), MAX_TOKENS)).astype("int64"))
    occurrences = torch.bincount(ids, minlength=len(table))
    order = occurrences.argsort(descending=True, stable=True)
    contexts = order[:CONTEXTS][occurrences[order[:CONTEXTS]] >= LEAST]
    rows = order[occurrences[order] >= LEAST][: MAX_CELLS // max(1, len(contexts))]
    width = min(table.shape[1], len(rows), len(contexts))
    if width < 2:
        return 0
    with torch.no_grad(), torch.random.fork_rng([]):
        torch.manual_seed(seed)
        near = _positive_pmi(_neighbours(ids, rows, contexts, len(table)))
        oversampled = min(width + _OVERSAMPLED, len(rows), len(contexts))
        left, values, _ = torch.svd_lowrank(near, q=oversampled, niter=_ROUNDS)
        vectors = left[:, :width] * values[:width].sqrt()
        vectors = vectors - vectors.mean(0)
        table[rows, :width] = vectors * (SPREAD * table.std() / vectors.std().clamp_min(1e-12))
    return len(rows)


def _neighbours(ids: Tensor, rows: Tensor, contexts: Tensor, vocabulary: int) -> Tensor:
    """(rows, contexts): how often which stands near which, the nearer the more."""
    row_of, context_of = _places(rows, vocabulary), _places(contexts, vocabulary)
    counts = torch.zeros(len(rows) * len(contexts))
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK + WINDOW]
        for distance in range(1, WINDOW + 1):
            behind = part[distance : distance + _CHUNK]
            before = part[: len(behind)]
            for one, other in ((before, behind), (behind, before)):
                places = row_of[one] * len(contexts) + context_of[other]
                places = places[(row_of[one] >= 0) & (context_of[other] >= 0)]
                counts.index_add_(0, places, torch.full((len(places),), 1.0 / distance))
    return counts.view(len(rows), len(contexts))


def _places(chosen: Tensor, vocabulary: int) -> Tensor:
    """Of every token its place among the chosen, -1 where it is none."""
    found = torch.full((vocabulary,), -1, dtype=torch.long)
    found[chosen] = torch.arange(len(chosen))
    return found


def _positive_pmi(counts: Tensor) -> Tensor:
    """The same table: how much likelier than by chance, in nats, and 0 where it is not."""
    of_rows, of_contexts = counts.sum(1), counts.sum(0).pow(0.75)
    of_contexts = of_contexts / of_contexts.sum().clamp_min(1e-12)
    counts.div_(of_rows.clamp_min(1e-12)[:, None]).div_(of_contexts.clamp_min(1e-12)[None, :])
    return counts.clamp_min_(1.0).log_()
