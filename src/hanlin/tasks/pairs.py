"""A text beside another as one item, `{"text": …, "text_pair": …}` as Hugging Face has it, for models that judge both together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.tasks.base import Limits
from hanlin.tasks.checks import check_items, check_text
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.pair_encoding import PairEncoder
from hanlin.tasks.shapes import TEXT, TOKEN_IDS
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.token_ids import Item
from hanlin.types import JsonObject, JsonValue, LongText

_TEXT, _PAIR = "text", "text_pair"
PAIR: JsonObject = {
    "type": "object", "required": [_TEXT, _PAIR], "additionalProperties": False, "properties": {_TEXT: TEXT, _PAIR: TEXT},
}  # fmt: skip
PAIRS_OR_MORE: JsonObject = {
    "anyOf": [TEXT, TOKEN_IDS, PAIR, {"type": "array", "items": {"anyOf": [TEXT, TOKEN_IDS, PAIR]}, "minItems": 1}]
}  # fmt: skip


def check_pairs(inputs: JsonValue, limits: Limits) -> tuple[tuple[Item, ...], tuple[str, ...], bool]:
    """Texts, the text beside each (empty where there is none), and whether it was a single one.

    Raises:
        InvalidInput: as `check_items`.
    """
    if _is_pair(inputs):
        first, second = _read(inputs, 0, limits)
        return (first,), (second,), True
    if not isinstance(inputs, list) or not any(_is_pair(item) for item in inputs) or len(inputs) > limits.max_items:
        texts, is_single = check_items(inputs, limits)
        return texts, (), is_single
    found = [_read(item, index, limits) for index, item in enumerate(inputs)]
    return tuple(first for first, _ in found), tuple(second for _, second in found), False


def encode_singles_or_pairs(
    encoder: TextEncoder, spec: ModelSpec, texts: Sequence[Item], pairs: Sequence[str], long_text: LongText, *, max_windows: int | None
) -> Encoded:
    """Rows of texts, each with its second text where it has one; with token types where the model reads them.

    Raises:
        InvalidInput: as the encoder; `text_pairs_not_taken` for a model that reads single texts.
    """
    if spec.pairs == "none":
        for index, pair in enumerate(pairs):
            if pair:
                raise InvalidInput("text_pairs_not_taken", index=index)
    if any(pairs):
        found = PairEncoder(encoder).encode_each(cast("Sequence[str]", texts), pairs, long_text, max_windows=max_windows)
    else:
        found = encoder.plan(texts, long_text, max_windows=max_windows)
    types = (found.types or [[0] * len(row) for row in found.rows]) if spec.has_types else None
    return Encoded(found.rows, found.cut, found.windows, types=types)


def _is_pair(item: JsonValue) -> bool:
    return isinstance(item, dict) and item.keys() == {_TEXT, _PAIR}


def _read(item: JsonValue, index: int, limits: Limits) -> tuple[str, str]:
    if not isinstance(item, dict) or not _is_pair(item):
        return check_text(item, index, limits), ""
    return check_text(item[_TEXT], index, limits), check_text(item[_PAIR], index, limits)
