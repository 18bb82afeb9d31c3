"""An artifact's own `tokenizer.json`: loading and asking it, what it puts around a text, which failures are its own. Knows no version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hanlin.errors import EngineFailed, HanlinError, InvalidInput

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer from its file. Raises InvalidInput (`invalid_tokenizer`)."""
    from tokenizers import Tokenizer

    with _failing_as(InvalidInput, "invalid_tokenizer"):
        return Tokenizer.from_file(str(path))


def frame_of(tokenizer: Tokenizer, num_special: int) -> tuple[list[int], list[int]]:
    """The special tokens that stand before and after a text; a cut row must stand between them too.

    Raises InvalidInput (`invalid_tokenizer`)."""
    with _failing_as(InvalidInput, "invalid_tokenizer"):
        plain = tokenizer.encode("a", add_special_tokens=False).ids
        whole = tokenizer.encode("a").ids
    for before in range(num_special + 1):
        if whole[before : before + len(plain)] == plain and len(whole) == len(plain) + num_special:
            return whole[:before], whole[before + len(plain) :]
    raise InvalidInput("invalid_tokenizer", details="special tokens are not a frame around the text")


def ids_of(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Token ids of every text, and nothing else: the fastest road. Raises EngineFailed (`tokenizer_failed`)."""
    with _failing_as(EngineFailed, "tokenizer_failed"):
        if len(texts) == 1:
            return [tokenizer.encode(texts[0]).ids]
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]


def encodings_of(tokenizer: Tokenizer, texts: list[str] | list[tuple[str, str]]) -> list[Encoding]:
    """Texts or pairs with offsets and token types, which the faster road lacks. Raises EngineFailed (`tokenizer_failed`)."""
    with _failing_as(EngineFailed, "tokenizer_failed"):
        return list(tokenizer.encode_batch(texts))


@contextmanager
def _failing_as(kind: type[HanlinError], code: str) -> Iterator[None]:
    """The tokenizer's own failures become an error of ours."""
    try:
        yield
    except BaseException as error:
        if not is_from_tokenizer(error):
            raise
        raise kind(code, details=str(error)[:500]) from error


def is_from_tokenizer(error: BaseException) -> bool:
    """Whether the tokenizer itself failed, and not whoever stops the process."""
    # A Rust panic arrives as a BaseException of a type that cannot be imported.
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
