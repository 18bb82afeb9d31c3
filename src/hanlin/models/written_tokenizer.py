"""A tokenizer that has only read so far, as one whose tokens are written: what makes text of them again."""

from __future__ import annotations

import json

from tokenizers import Regex, Tokenizer, decoders

from hanlin.errors import InvalidInput

# Between two characters of Chinese and Japanese, and beside their punctuation, there is no space. Korean has spaces.
_WIDE = r"[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]"
_SIGN = r"[\u3001-\u3003\u3008-\u3011\uff01-\uff0f\uff1a-\uff1f]"
_BETWEEN = f"(?<={_WIDE}) (?={_WIDE})|(?<={_SIGN}) | (?={_SIGN})"
_NO_PREFIX = "\0"  # of a piece that goes on with a word, where every token is a word


def with_decoder(tokenizer: Tokenizer, *, is_segmented: bool) -> Tokenizer:
    """The same tokenizer with what spells its tokens, where it has none that does; of pieces of words whole words are made.

    Args:
        is_segmented: whether texts come to it with spaces between Chinese words or characters, which are taken out again.

    Raises:
        InvalidInput: `base_cannot_spell` for pieces that do not tell where a word begins.
    """
    stored = json.loads(tokenizer.to_str())
    kind, known = stored["model"]["type"], stored["decoder"]
    parts = [tokenizer.decoder] if known else []
    if kind == "WordPiece" and (known is None or known["type"] == "WordPiece"):
        parts = [decoders.WordPiece(prefix=stored["model"]["continuing_subword_prefix"], cleanup=True)]
        is_segmented = True  # BERT's normalizer does so itself
    elif known is None:
        if kind != "WordLevel":
            raise InvalidInput("base_cannot_spell")
        is_by_character = (stored["pre_tokenizer"] or {}).get("type") == "Split"
        parts = [] if is_by_character else [decoders.WordPiece(prefix=_NO_PREFIX, cleanup=False)]
    elif not is_segmented:
        return tokenizer
    parts.append(decoders.Fuse())
    if is_segmented:
        parts.append(decoders.Replace(Regex(_BETWEEN), ""))
    tokenizer.decoder = decoders.Sequence(parts)
    return tokenizer
