"""What a model's tokenizer alone can answer: the tokens of texts, and the text of tokens. No engine runs for it.

Wire shapes of text-embeddings-inference's `/tokenize` and `/decode`.
"""

from __future__ import annotations

from dataclasses import dataclass

from hanlin.errors import InvalidInput
from hanlin.tasks.base import Limits
from hanlin.tasks.checks import check_texts
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.parameters import boolean, check_names
from hanlin.tasks.token_ids import read_token_ids
from hanlin.types import TOKEN_IDS, JsonObject, JsonValue

_ADD_SPECIAL = boolean("add_special_tokens", "whether the tokens that the model wants around a text come with it", default=True)
_SKIP_SPECIAL = boolean("skip_special_tokens", "whether such tokens are left out of the text", default=True)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and how much it is: items asked about and tokens in them."""

    value: JsonValue
    items: int
    tokens: int


def tokenize(inputs: JsonValue, parameters: JsonObject, encoder: TextEncoder, limits: Limits) -> Answered:
    """The tokens of every text: `[{"id", "text", "special", "start", "stop"}]`, with the characters that each stands for.

    Special tokens have their own name as `text` and no place.

    Raises:
        InvalidInput: as `check_texts` and `TextEncoder.tokens`; `unknown_parameter`, `invalid_parameter`.
    """
    check_names(parameters, (_ADD_SPECIAL,))
    texts, _ = check_texts(inputs, limits)
    found = [encoder.tokens(text, index, add_special_tokens=_ADD_SPECIAL.read(parameters)) for index, text in enumerate(texts)]
    rows: list[JsonValue] = []
    for text, tokens in zip(texts, found, strict=True):
        rows.append(
            [
                {"id": token.id, "text": token.name, "special": True, "start": None, "stop": None}
                if token.span is None
                else {"id": token.id, "text": text[slice(*token.span)], "special": False, "start": token.span[0], "stop": token.span[1]}
                for token in tokens
            ]
        )
    return Answered(rows, len(texts), sum(map(len, found)))


def decode(inputs: JsonValue, parameters: JsonObject, encoder: TextEncoder, limits: Limits) -> Answered:
    """The text of every list of token ids; one list is a list of one.

    Raises:
        InvalidInput: `invalid_inputs`, `empty_batch`, `batch_too_large`, `invalid_token_ids`, `unknown_token_id`.
    """
    check_names(parameters, (_SKIP_SPECIAL,))
    lists = inputs if isinstance(inputs, list) and inputs and isinstance(inputs[0], list) else [inputs]
    if len(lists) > limits.max_items:
        raise InvalidInput("batch_too_large", items=len(lists), limit=limits.max_items)
    rows = [read_token_ids({TOKEN_IDS: ids}, index) for index, ids in enumerate(lists)]
    texts: list[JsonValue] = [
        encoder.text_of(row, index, skip_special_tokens=_SKIP_SPECIAL.read(parameters)) for index, row in enumerate(rows)
    ]
    return Answered(texts, len(rows), sum(map(len, rows)))
