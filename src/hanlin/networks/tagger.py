"""The tagger: embedding, encoder, one linear layer over every token. What neighbouring labels say of each other is no part of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hanlin.networks.config import NetworkConfig
from hanlin.networks.dropout import Dropout
from hanlin.networks.embedding import TokenEmbedding
from hanlin.networks.recurrent import RecurrentEncoder
from hanlin.networks.transformer import TransformerEncoder


class TokenTagger(nn.Module):
    """A row of logits for every token.

    The linear layer reads what the encoder made of the token and, with n-grams, the token's own vector: a direct road from "this run of
    characters ends here" to the label.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = TokenEmbedding(config)
        self.types = nn.Embedding(config.num_types, config.embedding_size) if config.num_types else None
        self.encoder = TransformerEncoder(config) if config.model_type == "hanlin-transformer" else RecurrentEncoder(config)
        self.embedding_dropout = Dropout(config.embedding_dropout)
        self.dropout = Dropout(config.dropout)
        self.has_direct_road = bool(config.ngram_sizes)
        size = self.encoder.output_size + (config.embedding_size if self.has_direct_road else 0)
        self.classifier = nn.Linear(size, len(config.labels))
        if self.types is not None:
            nn.init.normal_(self.types.weight, std=0.1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """(batch, length) int64 each, padding on the right → (batch, length, labels) logits; those of padding mean nothing."""
        return self.from_vectors(self.embedding(input_ids), attention_mask, token_type_ids)

    def from_vectors(self, vectors: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """The same of the tokens' vectors (batch, length, embedding_size)."""
        if self.types is not None and token_type_ids is not None:
            vectors = vectors + self.types(token_type_ids)
        vectors = self.embedding_dropout(vectors)
        hidden = self.encoder(vectors, attention_mask)
        features = torch.cat([hidden, vectors], dim=2) if self.has_direct_road else hidden
        logits: Tensor = self.classifier(self.dropout(features))
        return logits
