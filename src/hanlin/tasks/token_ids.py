"""Token ids in the place of a text, `{"token_ids": [101, 2023, 102]}`: for callers that tokenise themselves. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hanlin.errors import InvalidInput
from hanlin.types import TOKEN_IDS, JsonValue, json_type

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_END = 2**31  # of what any vocabulary counts to


class TokenIds(tuple[int, ...]):
    """The tokens of one item as the model takes them, special tokens included."""

    __slots__ = ()


Item = str | TokenIds


def read_token_ids(value: dict[str, JsonValue], index: int) -> TokenIds:
    """The ids of item `index`. Raises InvalidInput (`invalid_token_ids`, `empty_text`)."""
    ids = value[TOKEN_IDS]
    if not isinstance(ids, list):
        raise InvalidInput("invalid_token_ids", index=index, found=json_type(ids))
    if not ids:
        raise InvalidInput("empty_text", index=index)
    for item in ids:
        if type(item) is not int or not 0 <= item < _END:
            found = "a number out of range" if type(item) is int else json_type(item)
            raise InvalidInput("invalid_token_ids", index=index, found=f"{found} among them")
    return TokenIds(cast("list[int]", ids))


def check_vocabulary(ids: Sequence[int], tokenizer: Tokenizer, index: int) -> None:
    """Raises InvalidInput (`unknown_token_id`) for an id that the tokenizer never gives: the model may have no row for it."""
    for token in set(ids):
        if token >= _END or tokenizer.id_to_token(token) is None:
            raise InvalidInput("unknown_token_id", index=index, position=ids.index(token), token=token)
