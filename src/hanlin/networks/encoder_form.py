"""Which pretrained encoders a network that writes can start from, by their config.json. No torch here."""

from __future__ import annotations

from collections.abc import Mapping

from hanlin.errors import InvalidInput
from hanlin.types import shorten

ENCODER_TYPES = ("bert", "camembert", "distilbert", "electra", "ernie", "roberta", "xlm-roberta")


def check_form(values: Mapping[str, object]) -> None:
    """Whether an encoder of these types is of BERT's form throughout, and of even heads, as ours are.

    Raises:
        InvalidInput: `encoder_cannot_start`.
    """
    activation = values.get("activation", values.get("hidden_act", "gelu"))
    if activation != "gelu":
        raise _other("hidden_act", activation, "gelu")
    size, heads = values.get("dim", values.get("hidden_size", 768)), values.get("n_heads", values.get("num_attention_heads", 12))
    if type(size) is int and type(heads) is int and heads > 0 and size % (2 * heads):
        raise _other("hidden_size", size, f"2 × {heads} × n")
    if values.get("model_type") == "electra" and values.get("embedding_size", 128) != size:
        raise _other("embedding_size", values.get("embedding_size", 128), str(size))


def _other(name: str, value: object, right: str) -> InvalidInput:
    return InvalidInput("encoder_cannot_start", name=name, value=shorten(str(value)), right=right)
