"""Pretrained encoders under one signature: ids and mask (and token types) in, one float32 array out.

An embedding is pooled and normalised here, inside the module, so that it is inside every exported graph too.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hanlin.networks.head import Head
from hanlin.networks.pooling import masked_max, masked_mean
from hanlin.networks.projection import Projection
from hanlin.networks.wide import WideRoad


class PretrainedModule(nn.Module):
    """A transformers model with our signature; where no token types are given, its own embedding layer takes zeros."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def _call(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None) -> object:
        if token_type_ids is None:
            return self.model(input_ids=input_ids, attention_mask=attention_mask)
        return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)


class PretrainedClassifier(PretrainedModule):
    """A classifier of whole rows, or of every token: transformers names both outputs `logits`.

    A wide road, where there is one, adds its own logits, always in fp32.
    """

    def __init__(self, model: nn.Module, wide: WideRoad | None = None) -> None:
        super().__init__(model)
        self.wide = wide

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """(batch, length) int64 each → (batch, labels) or (batch, length, labels) float32."""
        found = self._call(input_ids, attention_mask, token_type_ids)
        logits: Tensor = found.logits  # type: ignore[attr-defined]  # transformers outputs are untyped here
        logits = logits.float()
        if self.wide is not None:
            logits = logits + self.wide(input_ids, attention_mask)
        return logits

    @property
    def vocab_size(self) -> int:
        """Rows of the token table."""
        return int(self.model.config.vocab_size)  # type: ignore[union-attr,arg-type]  # transformers configs are untyped here

    @property
    def num_labels(self) -> int:
        """Outputs of the head."""
        return int(self.model.config.num_labels)  # type: ignore[union-attr,arg-type]  # transformers configs are untyped here

    @torch.no_grad()
    def widen(self, road: WideRoad, *, deep: float) -> None:
        """Add `road` to the logits, which are first taken times `deep`."""
        torch._foreach_mul_([*self._last.parameters()], deep)
        self.wide = road

    @torch.no_grad()
    def rescale(self, factor: float, offset: float) -> None:
        """Take all outputs times `factor` and add `offset`."""
        torch._foreach_mul_([*self._last.parameters()], factor)
        self._last.bias.add_(offset)

    @torch.no_grad()
    def begin_at(self, logits: Tensor) -> None:
        """Let the outputs of a new head be about `logits` (labels); one that was kept with its base knows better."""
        if not self._last.bias.any():
            self._last.bias.copy_(logits)

    @property
    def _last(self) -> nn.Linear:
        """The layer that gives the logits."""
        layers = dict(self.model.named_modules())
        head = layers.get("classifier.out_proj", layers.get("classifier"))
        assert isinstance(head, nn.Linear), "every head that we allow ends in one of these"
        return head


class PretrainedEmbedder(PretrainedModule):
    """An encoder without a head: one vector per row, pooled as its `Head` says.

    Source: sentence-transformers, modules Pooling, Dense and Normalize.
    """

    def __init__(self, model: nn.Module, head: Head, projection: Projection | None = None) -> None:
        super().__init__(model)
        self.head = head
        self.projection = projection
        self.has_tokens = projection is None  # behind a projection the tokens' own vectors live in another space than the texts'

    @property
    def size(self) -> int:
        """Numbers of each vector."""
        return self.projection.size if self.projection else int(self.model.config.hidden_size)  # type: ignore[union-attr,arg-type]  # as above

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """(batch, length) int64 each → (batch, size) float32."""
        return self.both(input_ids, attention_mask, token_type_ids)[0]

    def both(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The same, and the tokens' own vectors (batch, length, size) float32, as they are before pooling."""
        found = self._call(input_ids, attention_mask, token_type_ids)
        hidden = cast("Tensor", found.last_hidden_state).float()  # type: ignore[attr-defined]  # (batch, length, size)
        if self.head.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            pooled = masked_max(hidden, attention_mask) if self.head.pooling == "max" else masked_mean(hidden, attention_mask)
        if self.projection is not None:
            pooled = self.projection(pooled)
        return (functional.normalize(pooled, dim=1) if self.head.is_normalized else pooled), hidden


class WithTokens(nn.Module):
    """An embedder that answers with both of its outputs, as graphs have them."""

    def __init__(self, embedder: PretrainedEmbedder) -> None:
        super().__init__()
        self.embedder = embedder

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `PretrainedEmbedder.both`."""
        return self.embedder.both(input_ids, attention_mask, token_type_ids)
