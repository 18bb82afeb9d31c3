"""The wide road: logits straight from which runs of tokens a text holds, a linear model beside the encoder. Knows no encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hanlin.networks.embedding import hash_ngrams, ngram_codes


class WideRoad(nn.Module):
    """Sum of the runs' weights, divided by the square root of the text's tokens, plus a bias.

    Source: Cheng et al., Wide & Deep Learning for Recommender Systems (2016), for the two roads; how the weights are found stands
    in `training/wide.py`.

    Args:
        sizes: lengths of the runs in tokens; 1 has a row for each token, longer ones share hashed rows.
        buckets: rows of each hashed table.
    """

    def __init__(self, *, vocab_size: int, num_labels: int, sizes: Sequence[int], buckets: int) -> None:
        super().__init__()
        self.sizes, self.buckets = tuple(sizes), buckets
        self.tables = nn.ModuleList(nn.Embedding(vocab_size if size == 1 else buckets, num_labels) for size in self.sizes)
        self.bias = nn.Parameter(torch.zeros(num_labels))
        for size in self.sizes:
            if size > 1:
                self.register_buffer(f"codes{size}", ngram_codes(vocab_size, size, buckets), persistent=False)
        for table in self.tables.parameters():
            nn.init.zeros_(table)

    def runs(self, input_ids: Tensor) -> list[Tensor]:
        """For each size the row of its table at every position, (batch, length) int64 each."""
        return [input_ids if size == 1 else hash_ngrams(input_ids, self.get_buffer(f"codes{size}"), self.buckets) for size in self.sizes]

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length) int64 both, padding on the right → (batch, labels) logits."""
        weights = torch.stack([table(run) for table, run in zip(self.tables, self.runs(input_ids), strict=True)]).sum(0)
        mask = attention_mask.to(weights.dtype)
        return (weights * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1).sqrt() + self.bias
