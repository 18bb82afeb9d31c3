"""Tokens to vectors: a table row per token, plus rows that runs of neighbouring tokens share by hashing. Knows no network above it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.networks.config import NetworkConfig

_MASK = np.uint64(2**64 - 1)


def ngram_codes(vocab_size: int, size: int, buckets: int) -> Tensor:
    """Fixed random codes for `hash_ngrams`: one per place in the run and token.

    Made by arithmetic, not by a library's generator, so that a saved network means the same everywhere and for ever.
    Source: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators (2014), the mixing function of SplitMix64.

    Returns:
        (size, vocab_size) int64 in [0, buckets).
    """
    with np.errstate(over="ignore"):
        mixed = (np.arange(1, size * vocab_size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) & _MASK
        mixed = ((mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)) & _MASK
        mixed = ((mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)) & _MASK
    codes = (mixed ^ (mixed >> np.uint64(31))) % np.uint64(buckets)
    return torch.from_numpy(codes.astype(np.int64).reshape(size, vocab_size))


def hash_ngrams(input_ids: Tensor, codes: Tensor, buckets: int) -> Tensor:
    """The bucket of the run of tokens that ends at each position: the sum of the tokens' codes by place, modulo `buckets`.

    All values stay below 2^24 and there is no multiplication and no remainder: OpenVINO computes both in 32-bit floats, in which
    a multiplicative hash went wrong (two points of accuracy on the Chinese reviews). Source: tabulation hashing, Zobrist (1970).

    Args:
        input_ids: (batch, length) int64. Padding on the right changes no bucket to its left.
        codes: (size, vocab_size) of `ngram_codes`; places before the first token count zero.

    Returns:
        (batch, length) int64 in [0, buckets).
    """
    size, length = codes.shape[0], input_ids.shape[1]
    bucket = functional.embedding(input_ids, codes[size - 1].unsqueeze(1)).squeeze(-1)  # (batch, length)
    for back in range(1, size):
        code = functional.embedding(input_ids, codes[size - 1 - back].unsqueeze(1)).squeeze(-1)
        bucket = bucket + functional.pad(code, (back, 0))[:, :length]
        bucket = torch.where(bucket >= buckets, bucket - buckets, bucket)
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
        for size in config.ngram_sizes:
            self.register_buffer(f"codes{size}", ngram_codes(config.vocab_size, size, config.ngram_buckets), persistent=False)
        self.buckets = config.ngram_buckets
        self.dropout = config.ngram_dropout
        nn.init.normal_(self.tokens.weight, std=0.1)
        for table in self.ngrams.parameters():
            nn.init.zeros_(table)  # an n-gram that training never saw says nothing, instead of noise

    def forward(self, input_ids: Tensor) -> Tensor:
        """(batch, length) int64 → (batch, length, embedding_size)."""
        vectors: Tensor = self.tokens(input_ids)
        for size, table in zip(self.sizes, self.ngrams, strict=True):
            found = table(hash_ngrams(input_ids, self.get_buffer(f"codes{size}"), self.buckets))
            if self.training and self.dropout:  # whole vectors: rare n-grams would otherwise be learnt by heart
                found = found * functional.dropout(found.new_ones(*input_ids.shape, 1), self.dropout)
            vectors = vectors + found
        return vectors


def sinusoids(length: int, size: int) -> Tensor:
    """Fixed position vectors, (length, size) float32. Source: Vaswani et al., Attention Is All You Need (2017), section 3.5."""
    rates = torch.exp(torch.arange(0, size, 2) * (-torch.log(torch.tensor(10_000.0)) / size))  # (size / 2,)
    angles = torch.arange(length)[:, None] * rates  # (length, size / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(length, size)
