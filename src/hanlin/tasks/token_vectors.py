"""Vectors of the tokens of texts, for the task that gives vectors: what is computed for them, and how many a call may ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed, InvalidInput
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.token_ids import Item
from hanlin.types import LongText

OutputValue = Literal["sentence_embedding", "token_embeddings"]  # as sentence-transformers names them
# About 12 bytes each in JSON, 16 at most: 24 to 32 MB, half of a frame between worker and gateway. Writing them takes the worker's
# loop 0.1 s, in which it answers nobody else.
MAX_TOKEN_NUMBERS = 2_000_000


def check_no_windows(long_text: LongText | None) -> None:
    """Raises InvalidInput (`invalid_parameter`) for a call that wants windows: a token has another vector in each of them."""
    if long_text == "window":
        raise InvalidInput("invalid_parameter", name="long_text", expected="refuse or truncate beside token_embeddings", found="window")


def plan_tokens(encoder: TextEncoder, texts: Sequence[Item], long_text: LongText, *, numbers: int) -> Encoded:
    """The rows of texts whose tokens' vectors are wanted; where an endpoint reads long texts in windows, these are refused.

    Args:
        numbers: values of each vector that will be answered.

    Raises:
        InvalidInput: as `TextEncoder.plan`; `too_many_token_numbers`.
    """
    encoded = encoder.plan(texts, "refuse" if long_text == "window" else long_text)
    tokens = sum(map(len, encoded.rows))
    if tokens * numbers > MAX_TOKEN_NUMBERS:
        raise InvalidInput("too_many_token_numbers", tokens=tokens, dimensions=numbers, limit=MAX_TOKEN_NUMBERS)
    return replace(encoded, with_tokens=True)


def token_vectors_of(outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, encoded: Encoded) -> npt.NDArray[np.float32]:
    """The vectors of all rows' tokens, one row after the other. Raises EngineFailed (`model_output_invalid`)."""
    vectors, size = outputs.get("token_embeddings"), spec.vectors.dimensions if spec.vectors else 0
    if vectors is None or vectors.shape != (sum(map(len, encoded.rows)), size):
        raise EngineFailed("model_output_invalid", details=f"vectors of tokens of shape {None if vectors is None else vectors.shape}")
    if not np.isfinite(vectors).all():
        raise EngineFailed("model_output_invalid", details="NaN or infinity in the vectors of tokens")
    return np.asarray(vectors, dtype=np.float32)
