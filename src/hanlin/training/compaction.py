"""Fine-tuning touches few rows of a pretrained vocabulary: train on those rows only, put them back at the end.

An English vocabulary has 30,522 rows of which a few thousand reviews use 4,000; the gradient and the optimizer step of the other rows cost
more than the arithmetic of a short batch. Rows that no training or validation text uses get no gradient in the full table either, so the
run is the same, except that weight decay no longer wears them away.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

MAX_PAD_ID = 1024


@dataclass(frozen=True, slots=True)
class Compaction:
    """`kept` are the old ids in their new order; `full` is the table as it was."""

    kept: Tensor
    full: Tensor

    def translate(self, rows: Sequence[Sequence[int]]) -> list[array[int]]:
        """The same rows in new ids. Every id must be among the kept."""
        table = {old: new for new, old in enumerate(self.kept.tolist())}
        return [array("i", [table[token] for token in row]) for row in rows]

    def original(self, rows: Sequence[Sequence[int]]) -> list[array[int]]:
        """The rows that `translate` was given."""
        kept = array("i", self.kept.tolist())
        return [array("i", [kept[token] for token in row]) for row in rows]

    def read(self, module: nn.Module) -> nn.Module:
        """The compact module as one that takes the old ids."""
        return _Renumbered(module, self)

    @torch.no_grad()
    def restore(self, module: nn.Module) -> None:
        """Put the full table, with the trained rows in it, back into the module."""
        embedding = input_embedding(module)
        full = self.full.clone()
        full[self.kept] = embedding.weight.detach().to(full.dtype)
        _set_rows(embedding, full)


class _Renumbered(nn.Module):
    """A compact module behind its old ids; those that were not kept become padding."""

    def __init__(self, module: nn.Module, compaction: Compaction) -> None:
        super().__init__()
        self.module = module
        self.numbers = torch.zeros(len(compaction.full), dtype=torch.int64)
        self.numbers[compaction.kept] = torch.arange(len(compaction.kept))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, *more: Tensor) -> Tensor:
        """As the module's own."""
        found: Tensor = self.module(self.numbers[input_ids], attention_mask, *more)
        return found


def compact(module: nn.Module, rows: Iterable[Sequence[int]], pad_id: int) -> Compaction | None:
    """Shrink the token table of a pretrained module in place to the ids in `rows`; None when that is not possible.

    Ids up to the padding id keep their number, because some architectures count positions from it.
    """
    embedding = input_embedding(module)
    if pad_id > MAX_PAD_ID or embedding.weight.shape[0] <= pad_id:
        return None
    used = set(range(pad_id + 1)).union(*rows)
    kept = torch.tensor(sorted(used))
    compaction = Compaction(kept, embedding.weight.detach().clone())
    _set_rows(embedding, compaction.full[kept])
    return compaction


def input_embedding(module: nn.Module) -> nn.Embedding:
    """The token table of a transformers model (in our wrapper)."""
    found = module.model.get_input_embeddings()  # type: ignore[union-attr,operator]  # transformers models are untyped here
    assert isinstance(found, nn.Embedding)
    return found


def _set_rows(embedding: nn.Embedding, rows: Tensor) -> None:
    embedding.weight = nn.Parameter(rows.clone(), requires_grad=embedding.weight.requires_grad)
    embedding.num_embeddings = rows.shape[0]
