"""Tokens to vectors: a table row per token, plus rows that runs of neighbouring tokens share by hashing. Knows no network above it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.networks.config import NetworkConfig

GOLDEN = 0.6180339887


def hash_multiplier(buckets: int, vocab_size: int) -> int:
    """The odd factor for `hash_ngrams` with that many buckets.

    Two demands: products stay below 2^31, because OpenVINO counts in 32 bits; and multiples of the factor stay far from multiples
    of `buckets`, so that pairs of frequent tokens (small ids) do not collide. Fractions 1 / (m + golden ratio) are the worst to approximate
    by small fractions (Knuth, The Art of Computer Programming 3, section 6.4), so the factor is an odd number near buckets / (m + golden).
    """
    m = 1
    while buckets * int(buckets / (m + GOLDEN)) + buckets + vocab_size >= 2**31:
        m += 1
    return int(buckets / (m + GOLDEN)) | 1


def hash_ngrams(input_ids: Tensor, size: int, multiplier: int, buckets: int) -> Tensor:
    """The bucket of the run of `size` tokens that ends at each position; before the first token stand zeros.

    Args:
        input_ids: (batch, length) int64. Padding on the right changes no bucket to its left.

    Returns:
        (batch, length) int64 in [0, buckets).
    """
    length = input_ids.shape[1]
    padded = functional.pad(input_ids, (size - 1, 0))
    bucket = padded[:, :length] % buckets
    for offset in range(1, size):
        bucket = (bucket * multiplier + padded[:, offset : offset + length]) % buckets
    return bucket


class TokenEmbedding(nn.Module):
    """Sum of the token's vector and of the vectors of the n-grams that end with it.

    Source: Bojanowski et al., Enriching Word Vectors with Subword Information (2017), for the shared hashed rows; we hash runs of tokens.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocab_size, config.embedding_size)
        self.ngrams = nn.ModuleList(nn.Embedding(config.ngram_buckets, config.embedding_size) for _ in config.ngram_sizes)
        self.sizes = config.ngram_sizes
        self.multiplier = config.ngram_multiplier
        self.buckets = config.ngram_buckets
        self.dropout = config.ngram_dropout
        nn.init.normal_(self.tokens.weight, std=0.1)
        for table in self.ngrams.parameters():
            nn.init.zeros_(table)  # an n-gram that training never saw says nothing, instead of noise

    def forward(self, input_ids: Tensor) -> Tensor:
        """(batch, length) int64 → (batch, length, embedding_size)."""
        vectors: Tensor = self.tokens(input_ids)
        for size, table in zip(self.sizes, self.ngrams, strict=True):
            found = table(hash_ngrams(input_ids, size, self.multiplier, self.buckets))
            if self.training and self.dropout:  # whole vectors: rare n-grams would otherwise be learnt by heart
                found = found * functional.dropout(found.new_ones(*input_ids.shape, 1), self.dropout)
            vectors = vectors + found
        return vectors


def sinusoids(length: int, size: int) -> Tensor:
    """Fixed position vectors, (length, size) float32. Source: Vaswani et al., Attention Is All You Need (2017), section 3.5."""
    rates = torch.exp(torch.arange(0, size, 2) * (-torch.log(torch.tensor(10_000.0)) / size))  # (size / 2,)
    angles = torch.arange(length)[:, None] * rates  # (length, size / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(length, size)
