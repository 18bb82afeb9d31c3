"""A tokenizer asked for itself: the tokens of a text with their places in it, and the text of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hanlin.errors import InvalidInput
from hanlin.tasks.alignment import Span, prepare
from hanlin.tasks.text import TextSettings
from hanlin.tasks.token_ids import check_vocabulary
from hanlin.tasks.tokenizer import asking

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TRACED_CHARACTERS = 65_536  # of a text that is told apart character by character


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text.

    Attributes:
        name: how the vocabulary writes it.
        span: characters of the text as it was sent; None for a special token.
    """

    id: int
    name: str
    span: Span | None


def tokens_of(tokenizer: Tokenizer, settings: TextSettings, text: str, index: int, *, add_special_tokens: bool) -> list[Token]:
    """The tokens of text `index`, cleaned and segmented as for the model. Raises InvalidInput (`text_too_long`), EngineFailed."""
    if len(text) > MAX_TRACED_CHARACTERS:
        raise InvalidInput("text_too_long", index=index, length=len(text), unit="characters", limit=MAX_TRACED_CHARACTERS)
    traced = prepare(settings, text)
    with asking():
        found = tokenizer.encode(traced.text, add_special_tokens=add_special_tokens)
    return [
        Token(number, name, None if is_special else traced.original(first, last))
        for number, name, (first, last), is_special in zip(
            found.ids, found.tokens, found.offsets, found.special_tokens_mask, strict=True
        )
    ]  # fmt: skip


def text_of(tokenizer: Tokenizer, ids: Sequence[int], index: int, *, skip_special_tokens: bool) -> str:
    """The text of the tokens `ids` of item `index`. Raises InvalidInput (`unknown_token_id`), EngineFailed."""
    check_vocabulary(ids, tokenizer, index)
    with asking():
        return str(tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens))
