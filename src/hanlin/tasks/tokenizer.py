"""An artifact's own `tokenizer.json`: how it is loaded, what it puts around a text, and which failures are its own. Knows no version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hanlin.errors import InvalidInput

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer from its file. Raises InvalidInput (`invalid_tokenizer`)."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except BaseException as error:
        if not is_from_tokenizer(error):
            raise
        raise InvalidInput("invalid_tokenizer", details=str(error)[:500]) from error


def frame_of(tokenizer: Tokenizer, num_special: int) -> tuple[list[int], list[int]]:
    """The special tokens that stand before and after a text; a cut row must stand between them too.

    Raises InvalidInput (`invalid_tokenizer`)."""
    try:
        plain = tokenizer.encode("a", add_special_tokens=False).ids
        whole = tokenizer.encode("a").ids
    except BaseException as error:
        if not is_from_tokenizer(error):
            raise
        raise InvalidInput("invalid_tokenizer", details=str(error)[:500]) from error
    for before in range(num_special + 1):
        if whole[before : before + len(plain)] == plain and len(whole) == len(plain) + num_special:
            return whole[:before], whole[before + len(plain) :]
    raise InvalidInput("invalid_tokenizer", details="special tokens are not a frame around the text")


def is_from_tokenizer(error: BaseException) -> bool:
    """Whether the tokenizer itself failed, and not whoever stops the process."""
    # A Rust panic arrives as a BaseException of a type that cannot be imported.
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
