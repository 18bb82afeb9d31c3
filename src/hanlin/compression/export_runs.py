"""Hashed runs of tokens in the form that engines run fastest: the rows of all tables by one lookup of codes.

    ids (batch, length) → codes of all runs and places (batch, length, places x runs) → sums modulo buckets → rows → vectors and weights

The same numbers as `networks.embedding.hash_ngrams` run by run: a graph of many tiny operators spends its time between them.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.networks.classifier import TextClassifier
from hanlin.networks.loading import PretrainedClassifier
from hanlin.networks.wide import WideRoad


class RunsForm(nn.Module):
    """A text classifier with n-grams, and with a wide road or without. Not for training."""

    def __init__(self, classifier: TextClassifier) -> None:
        super().__init__()
        self.classifier = classifier
        embedding, wide = classifier.embedding, classifier.wide
        deep = [(embedding.get_buffer(f"codes{size}"), embedding.buckets) for size in embedding.sizes]
        self.num_deep = len(deep)
        self.runs = RunsLookup(deep, _wide_runs(wide) if wide else [])
        self.register_buffer("deep_rows", _joined([cast("nn.Embedding", table) for table in embedding.ngrams]))
        self.sums = WideSums(wide) if wide else None

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length) int64 both, padding on the right → (batch, labels) logits."""
        rows = self.runs(input_ids)  # (batch, length, runs)
        deep = functional.embedding(rows[:, :, : self.num_deep], self.get_buffer("deep_rows")).sum(2)
        logits = self.classifier.from_vectors(self.classifier.embedding.tokens(input_ids) + deep, attention_mask)
        if self.sums is not None:
            logits = logits + self.sums(rows[:, :, self.num_deep :], input_ids, attention_mask)
        return logits


class WideForm(nn.Module):
    """A pretrained classifier with a wide road that has hashed runs. Not for training."""

    def __init__(self, classifier: PretrainedClassifier, wide: WideRoad) -> None:
        super().__init__()
        self.model = classifier.model
        self.runs, self.sums = RunsLookup([], _wide_runs(wide)), WideSums(wide)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length) int64 both, padding on the right → (batch, labels) logits."""
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        wide: Tensor = self.sums(self.runs(input_ids), input_ids, attention_mask)
        return logits + wide


class RunsLookup(nn.Module):
    """For each run the row of its table at every position, the tables of each group standing one below the other.

    Args:
        groups: of runs; a run is its codes (size, vocab) and its buckets.
    """

    def __init__(self, *groups: list[tuple[Tensor, int]]) -> None:
        super().__init__()
        runs = [run for group in groups for run in group]
        self.places = max(len(codes) for codes, _ in runs)
        self.register_buffer("codes", _codes_of_places(runs, self.places))
        self.register_buffer("buckets", torch.tensor([buckets for _, buckets in runs]))
        self.register_buffer("offsets", torch.tensor([offset for group in groups for offset in _offsets([b for _, b in group])]))

    def forward(self, input_ids: Tensor) -> Tensor:
        """(batch, length) int64 → (batch, length, runs) int64; all values stay below 2^24 (see `hash_ngrams`)."""
        codes = functional.embedding(input_ids, self.get_buffer("codes"))  # (batch, length, places x runs)
        parts = codes.chunk(self.places, dim=2)
        buckets, length = self.get_buffer("buckets"), input_ids.shape[1]
        rows = parts[0]
        for back in range(1, self.places):
            rows = rows + functional.pad(parts[back], (0, 0, back, 0))[:, :length]
            rows = torch.where(rows >= buckets, rows - buckets, rows)
        return rows + self.get_buffer("offsets")


class WideSums(nn.Module):
    """The logits of a wide road whose rows are found."""

    def __init__(self, wide: WideRoad) -> None:
        super().__init__()
        long = [table for size, table in zip(wide.sizes, wide.tables, strict=True) if size > 1]
        self.register_buffer("rows", _joined([cast("nn.Embedding", table) for table in long]))
        self.tokens = cast("nn.Embedding", wide.tables[wide.sizes.index(1)]) if 1 in wide.sizes else None
        self.bias = wide.bias

    def forward(self, rows: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length, runs), (batch, length) int64 twice → (batch, labels) logits."""
        weights = functional.embedding(rows, self.get_buffer("rows")).sum(2)
        if self.tokens is not None:
            weights = weights + self.tokens(input_ids)
        mask = attention_mask.to(weights.dtype)
        return (weights * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1).sqrt() + self.bias


def _wide_runs(wide: WideRoad) -> list[tuple[Tensor, int]]:
    return [(wide.get_buffer(f"codes{size}"), wide.buckets) for size in wide.sizes if size > 1]


def _codes_of_places(runs: list[tuple[Tensor, int]], places: int) -> Tensor:
    """(vocab, places x runs): codes of the last token of every run, then of the token before it, and so on; 0 where a run is shorter."""
    columns = []
    for back in range(places):
        for codes, _ in runs:
            size = len(codes)
            columns.append(codes[size - 1 - back] if back < size else torch.zeros_like(codes[0]))
    return torch.stack(columns, dim=1)


def _offsets(buckets: list[int]) -> list[int]:
    """Where each table begins when they stand one below the other."""
    return [sum(buckets[:index]) for index in range(len(buckets))]


def _joined(tables: list[nn.Embedding]) -> Tensor:
    return torch.cat([table.weight.detach() for table in tables])
