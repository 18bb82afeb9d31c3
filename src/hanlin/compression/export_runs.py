"""Hashed runs of tokens in the form that engines run fastest: the rows of all tables by one lookup of codes.

    ids (batch, length) → codes of all runs, by place (batch, length, runs) → sums modulo buckets → rows → vectors and weights

A single token is a run of one, whose code is the token itself. The same numbers as `networks.embedding.hash_ngrams` run by run: a graph
of many tiny operators spends its time between them. For a variant that runs one row at a time, padding and its operators are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.networks.classifier import TextClassifier
from hanlin.networks.heads import PretrainedClassifier
from hanlin.networks.loading import Reader
from hanlin.networks.tagger import TokenTagger
from hanlin.networks.wide import WideRoad


@dataclass(frozen=True, slots=True)
class Run:
    """One kind of run: `codes` (size, vocab), and the table whose rows its sums are."""

    codes: Tensor
    table: nn.Embedding


class RunsForm(nn.Module):
    """A text classifier or tagger with n-grams, and with a wide road or without. Not for training.

    Args:
        classifier: the network; its encoder may be in another form already.
        has_remainder: whether the engine computes integer remainders exactly (OpenVINO does not).
        is_one_row: whether it will see one row without padding only, so that no operator needs to know of padding.
    """

    def __init__(self, classifier: Reader, *, has_remainder: bool = False, is_one_row: bool = False) -> None:
        super().__init__()
        self.classifier, self.is_one_row = classifier, is_one_row
        embedding, wide = classifier.embedding, classifier.wide if isinstance(classifier, TextClassifier) else None
        deep = [_single(embedding.tokens)]
        deep += [
            Run(embedding.get_buffer(f"codes{size}"), _table(table)) for size, table in zip(embedding.sizes, embedding.ngrams, strict=True)
        ]
        self.num_deep = len(deep)
        self.runs = RunsLookup(deep, _wide_runs(wide) if wide else [], has_remainder=has_remainder)
        self.register_buffer("deep_rows", _joined(deep))
        self.sums = WideSums(wide) if wide else None

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """(batch, length) int64 each, padding on the right → (batch, labels) logits, or a tagger's (batch, length, labels)."""
        rows = self.runs(input_ids)  # (batch, length, runs)
        vectors = functional.embedding(rows[:, :, : self.num_deep], self.get_buffer("deep_rows")).sum(2)
        if isinstance(self.classifier, TokenTagger):
            return self.classifier.from_vectors(vectors, attention_mask, token_type_ids)
        logits = self._logits_of_one(vectors, attention_mask) if self.is_one_row else self.classifier.from_vectors(vectors, attention_mask)
        if self.sums is not None:
            wide = rows[:, :, self.num_deep :]
            logits = logits + (self.sums.of_one(wide, attention_mask) if self.is_one_row else self.sums(wide, attention_mask))
        return logits

    def _logits_of_one(self, vectors: Tensor, attention_mask: Tensor) -> Tensor:
        """`TextClassifier.from_vectors` for a row without padding."""
        hidden = self.classifier.encoder(vectors, attention_mask)
        features = [hidden.amax(1), hidden.mean(1), vectors.sum(1) / _root(attention_mask, vectors)]
        logits: Tensor = self.classifier.classifier(torch.cat(features, dim=1))
        return logits


class WideForm(nn.Module):
    """A pretrained classifier with a wide road that has hashed runs. Not for training."""

    def __init__(self, classifier: PretrainedClassifier, wide: WideRoad) -> None:
        super().__init__()
        self.model = classifier.model
        self.runs, self.sums = RunsLookup(_wide_runs(wide)), WideSums(wide)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length) int64 both, padding on the right → (batch, labels) logits."""
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        wide: Tensor = self.sums(self.runs(input_ids), attention_mask)
        return logits + wide


class RunsLookup(nn.Module):
    """For each run the row of its table at every position, the tables of each group standing one below the other.

    Args:
        groups: of runs.
        has_remainder: as in `RunsForm`.
    """

    def __init__(self, *groups: Sequence[Run], has_remainder: bool = False) -> None:
        super().__init__()
        runs = [run for group in groups for run in group]
        self.has_remainder, self.places = has_remainder, max(len(run.codes) for run in runs)
        self.nothing = runs[0].codes.shape[1]  # stands before the first token; its codes are zero
        for back in range(self.places):
            self.register_buffer(f"codes{back}", _codes_at([run.codes for run in runs], back))
        self.register_buffer("buckets", torch.tensor([run.table.num_embeddings for run in runs]))
        self.register_buffer("offsets", torch.tensor([offset for group in groups for offset in _offsets(group)]))

    def forward(self, input_ids: Tensor) -> Tensor:
        """(batch, length) int64 → (batch, length, runs) int64; all values stay below 2^24 (see `hash_ngrams`)."""
        before, buckets = self.places - 1, self.get_buffer("buckets")
        longer = functional.pad(input_ids, (before, 0), value=self.nothing)
        rows = functional.embedding(input_ids, self.get_buffer("codes0"))
        for back in range(1, self.places):
            rows = rows + functional.embedding(longer[:, before - back : -back], self.get_buffer(f"codes{back}"))
            if not self.has_remainder:
                rows = torch.where(rows >= buckets, rows - buckets, rows)
        return (rows % buckets if self.has_remainder else rows) + self.get_buffer("offsets")


class WideSums(nn.Module):
    """The logits of a wide road whose rows are found."""

    def __init__(self, wide: WideRoad) -> None:
        super().__init__()
        self.register_buffer("rows", _joined(_wide_runs(wide)))
        self.bias = wide.bias

    def forward(self, rows: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length, runs), (batch, length) int64 both → (batch, labels) logits."""
        weights = functional.embedding(rows, self.get_buffer("rows")).sum(2)
        mask = attention_mask.to(weights.dtype)
        return (weights * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1).sqrt() + self.bias

    def of_one(self, rows: Tensor, attention_mask: Tensor) -> Tensor:
        """The same for one row without padding."""
        weights = functional.embedding(rows, self.get_buffer("rows")).sum((1, 2))
        return weights / _root(attention_mask, weights) + self.bias


def _root(attention_mask: Tensor, like: Tensor) -> Tensor:
    """The square root of the number of tokens, (batch, 1), in one operator: the length of a vector of ones."""
    root: Tensor = attention_mask.to(like.dtype).norm(dim=1, keepdim=True)
    return root


def _wide_runs(wide: WideRoad) -> list[Run]:
    return [
        _single(_table(table)) if size == 1 else Run(wide.get_buffer(f"codes{size}"), _table(table))
        for size, table in zip(wide.sizes, wide.tables, strict=True)
    ]


def _single(table: nn.Embedding) -> Run:
    return Run(torch.arange(table.num_embeddings)[None, :], table)


def _table(module: nn.Module) -> nn.Embedding:
    assert isinstance(module, nn.Embedding)
    return module


def _codes_at(runs: Sequence[Tensor], back: int) -> Tensor:
    """(vocab + 1, runs): each run's codes of the token `back` places before its last one; 0 where there is none."""
    columns = [codes[len(codes) - 1 - back] if back < len(codes) else torch.zeros_like(codes[0]) for codes in runs]
    return functional.pad(torch.stack(columns, dim=1), (0, 0, 0, 1))


def _offsets(runs: Sequence[Run]) -> list[int]:
    """Where each table begins when they stand one below the other."""
    return [sum(run.table.num_embeddings for run in runs[:index]) for index in range(len(runs))]


def _joined(runs: Sequence[Run]) -> Tensor:
    return torch.cat([run.table.weight.detach() for run in runs])
