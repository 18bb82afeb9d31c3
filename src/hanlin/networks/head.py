"""What a network answers with: the `hanlin_head` entry of its config.json. No torch here, so that every engine can read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from hanlin.errors import InvalidInput
from hanlin.networks.config import GENERATOR_TYPES, HEAD_KEY, read_config
from hanlin.types import JsonObject, shorten

KEY = HEAD_KEY
Output = Literal["logits", "embeddings", "token_logits", "mask_logits", "sequences"]
Pooling = Literal["", "mean", "cls", "max"]
Bend = Literal["identity", "tanh", "relu", "gelu"]
MAX_DENSE = 4
TOKENS = "token_embeddings"  # the second array beside `embeddings`: the vectors of tokens (batch, length, size) as they were pooled


@dataclass(frozen=True, slots=True)
class Head:
    """The outputs of a network.

    Attributes:
        output: name of its array: `logits` (batch, labels), `embeddings` (batch, size), `token_logits` (batch, length, labels), or
            `mask_logits` (batch, vocabulary) of the place of each row that token types name; or `sequences`, for it writes.
        pooling: how token vectors become one vector; only embeddings have it.
        is_normalized: whether each embedding has length 1.
        dense: activations of the linear layers between pooling and normalisation, which stand in `projection.safetensors`.
        has_types: whether it reads `token_type_ids` besides ids and mask, because its rows are pairs of texts, or ask about a place.
    """

    output: Output = "logits"
    pooling: Pooling = ""
    is_normalized: bool = False
    has_types: bool = False
    dense: tuple[Bend, ...] = ()

    def __post_init__(self) -> None:
        _check(self.output in get_args(Output), "output", self.output)
        _check(self.pooling in get_args(Pooling) and bool(self.pooling) == (self.output == "embeddings"), "pooling", self.pooling)
        _check(isinstance(self.is_normalized, bool), "is_normalized", self.is_normalized)
        _check(isinstance(self.has_types, bool), "has_types", self.has_types)
        is_dense = isinstance(self.dense, tuple) and len(self.dense) <= MAX_DENSE and all(bend in get_args(Bend) for bend in self.dense)
        _check(is_dense and (not self.dense or self.output == "embeddings"), "dense", self.dense)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the arrays that it reads, `(batch, length) int64` each."""
        return ("input_ids", "attention_mask", "token_type_ids") if self.has_types else ("input_ids", "attention_mask")

    def to_json(self) -> JsonObject:
        """The stored form."""
        stored = cast("JsonObject", asdict(self) | {"dense": list(self.dense)})
        return stored if self.dense else {name: value for name, value in stored.items() if name != "dense"}

    @classmethod
    def of(cls, config: Mapping[str, object]) -> Head:
        """The head that a config.json names; label logits where it names none. Raises InvalidInput (`invalid_network_config`)."""
        value = config.get(KEY)
        if value is None:
            return WRITER if config.get("model_type") in GENERATOR_TYPES else CLASSIFIER
        _check(isinstance(value, dict) and set(value) <= set(cls.__dataclass_fields__), KEY, value)
        value = {name: tuple(item) if isinstance(item, list) else item for name, item in cast("dict[str, object]", value).items()}
        return cls(**cast("dict[str, bool]", value))  # type: ignore[arg-type]  # checked field by field in __post_init__

    @classmethod
    def load(cls, folder: Path) -> Head:
        """The head of an artifact folder. Raises InvalidInput (`invalid_network_config`)."""
        return cls.of(read_config(folder)) if (folder / "config.json").is_file() else CLASSIFIER


def _check(is_right: bool, name: str, value: object) -> None:
    if not is_right:
        raise InvalidInput("invalid_network_config", name=name, value=shorten(str(value)))


CLASSIFIER = Head()
WRITER = Head("sequences")
FILLER = Head("mask_logits", has_types=True)
