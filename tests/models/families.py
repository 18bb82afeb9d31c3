"""Sizes of a tiny encoder of any family, for tests that build all of them."""

from __future__ import annotations

from typing import Any


def tiny_sizes(model_type: str, vocab_size: int) -> dict[str, Any]:
    """By the names that the family's settings have."""
    sizes: dict[str, Any] = {
        "vocab_size": vocab_size, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
        "max_position_embeddings": 40, "pad_token_id": 0,
    }  # fmt: skip
    if model_type == "distilbert":
        sizes |= {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
    if model_type in ("albert", "electra", "roformer"):
        sizes |= {"embedding_size": 16}
    if model_type == "rembert":
        sizes |= {"input_embedding_size": 16, "output_embedding_size": 16}
    if model_type in ("modernbert", "eurobert", "gte", "nomic_bert", "rembert"):
        sizes |= {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3, "mask_token_id": 4}
    return sizes
