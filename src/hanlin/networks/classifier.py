"""The text classifier: embedding, encoder, pooled features, one linear layer."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from hanlin.networks.config import NetworkConfig
from hanlin.networks.dropout import Dropout
from hanlin.networks.embedding import TokenEmbedding
from hanlin.networks.pooling import AttentionPooling, masked_max, masked_mean
from hanlin.networks.recurrent import RecurrentEncoder
from hanlin.networks.transformer import TransformerEncoder
from hanlin.networks.wide import WideRoad


class TextClassifier(nn.Module):
    """Logits from token ids.

    Features are the largest and the mean value of every encoder unit over the text, or a mean weighted by attention, or all three; with
    n-grams also the mean embedding, a direct road from "this run of characters stands in the text" to the answer (Joulin et al., Bag of
    Tricks, 2017).
    A wide road, where there is one, adds its own logits.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = TokenEmbedding(config)
        self.encoder = TransformerEncoder(config) if config.model_type == "hanlin-transformer" else RecurrentEncoder(config)
        self.embedding_dropout = Dropout(config.embedding_dropout)
        self.dropout = Dropout(config.dropout)
        self.has_direct_road = bool(config.ngram_sizes)
        width = self.encoder.output_size
        self.attention_pooling = AttentionPooling(width) if "attention" in config.pooling else None
        size = width * len(config.pooling.split("-")) + (config.embedding_size if self.has_direct_road else 0)
        self.classifier = nn.Linear(size, len(config.labels))
        self.wide: WideRoad | None = None
        if config.wide_sizes:
            self.wide = WideRoad(
                vocab_size=config.vocab_size, num_labels=len(config.labels), sizes=config.wide_sizes, buckets=config.wide_buckets
            )  # fmt: skip

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, length) int64 both, padding on the right → (batch, labels) logits."""
        logits = self.from_vectors(self.embedding(input_ids), attention_mask)
        return logits if self.wide is None else logits + self.wide(input_ids, attention_mask)

    @property
    def vocab_size(self) -> int:
        """Rows of the token table."""
        return self.config.vocab_size

    @property
    def num_labels(self) -> int:
        """Outputs of the head."""
        return len(self.config.labels)

    @torch.no_grad()
    def widen(self, road: WideRoad, *, deep: float) -> None:
        """Add `road` to the logits, which are first taken times `deep`."""
        torch._foreach_mul_([*self.classifier.parameters()], deep)
        self.config = replace(self.config, wide_sizes=road.sizes, wide_buckets=road.buckets)
        self.wide = road

    @torch.no_grad()
    def rescale(self, factor: float, offset: float) -> None:
        """Take all outputs times `factor` and add `offset`."""
        torch._foreach_mul_([*self.classifier.parameters()], factor)
        self.classifier.bias.add_(offset)

    @torch.no_grad()
    def begin_at(self, logits: Tensor) -> None:
        """Let the outputs of a network that knows nothing be about `logits` (labels)."""
        self.classifier.bias.copy_(logits)

    def from_vectors(self, vectors: Tensor, attention_mask: Tensor) -> Tensor:
        """The logits without the wide road's: (batch, length, embedding_size), (batch, length) → (batch, labels)."""
        hidden = self.encoder(self.embedding_dropout(vectors), attention_mask)
        features = self._pooled(hidden, attention_mask)
        if self.has_direct_road:
            lengths = attention_mask.sum(1, keepdim=True).to(vectors.dtype)
            features.append(masked_mean(vectors, attention_mask) * lengths.sqrt())
        logits: Tensor = self.classifier(self.dropout(torch.cat(features, dim=1)))
        return logits

    def _pooled(self, hidden: Tensor, mask: Tensor) -> list[Tensor]:
        features = [masked_max(hidden, mask), masked_mean(hidden, mask)] if self.config.pooling != "attention" else []
        return features if self.attention_pooling is None else [*features, self.attention_pooling(hidden, mask)]
