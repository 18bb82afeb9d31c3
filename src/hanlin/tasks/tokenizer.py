"""An artifact's own `tokenizer.json`: loading and asking it, what it puts around a text, which failures are its own. Knows no version."""

from __future__ import annotations

import hashlib
import weakref
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from hanlin.errors import EngineFailed, HanlinError, InvalidInput

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


class _Failures:
    """Makes an error of ours of the tokenizer's own failures. Without state: a generator would cost 1.5 µs at each call."""

    __slots__ = ("_code", "_kind")

    def __init__(self, kind: type[HanlinError], code: str) -> None:
        self._kind, self._code = kind, code

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> None:
        if error is not None and is_from_tokenizer(error):
            raise self._kind(self._code, details=str(error)[:500]) from error


_SHARED: weakref.WeakValueDictionary[bytes, Tokenizer] = weakref.WeakValueDictionary()
_LOADING = _Failures(InvalidInput, "invalid_tokenizer")
_ASKING = _Failures(EngineFailed, "tokenizer_failed")


def asking() -> _Failures:
    """Around a question to a tokenizer. Raises EngineFailed (`tokenizer_failed`)."""
    return _ASKING


def load_tokenizer(path: Path) -> Tokenizer:
    """A tokenizer from its file that neither pads nor cuts, whatever the file says. Raises InvalidInput (`invalid_tokenizer`)."""
    from tokenizers import Tokenizer

    with _LOADING:
        tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def shared_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of such a file that this process has already, or a new one: models of one base share theirs (6 MB of 30,000 words).

    Not to be changed. Raises InvalidInput (`invalid_tokenizer`)."""
    try:
        digest = hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        raise InvalidInput("invalid_tokenizer", details=str(error)) from error
    if (tokenizer := _SHARED.get(digest)) is None:
        tokenizer = _SHARED.setdefault(digest, load_tokenizer(path))
    return tokenizer


def frame_of(tokenizer: Tokenizer, num_special: int) -> tuple[list[int], list[int]]:
    """The special tokens that stand before and after a text; a cut row must stand between them too.

    Raises InvalidInput (`invalid_tokenizer`)."""
    with _LOADING:
        plain = tokenizer.encode("a", add_special_tokens=False).ids
        whole = tokenizer.encode("a").ids
    for before in range(num_special + 1):
        if whole[before : before + len(plain)] == plain and len(whole) == len(plain) + num_special:
            return whole[:before], whole[before + len(plain) :]
    raise InvalidInput("invalid_tokenizer", details="special tokens are not a frame around the text")


def ids_of(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Token ids of every text, and nothing else: the fastest road, for one text too (24 µs of 20 tokens, where `encode` takes 27).

    Raises EngineFailed (`tokenizer_failed`)."""
    with _ASKING:
        return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]


def encodings_of(tokenizer: Tokenizer, texts: list[str] | list[tuple[str, str]]) -> list[Encoding]:
    """Texts or pairs with offsets and token types, which the faster road lacks. Raises EngineFailed (`tokenizer_failed`)."""
    with _ASKING:
        return list(tokenizer.encode_batch(texts))


def is_from_tokenizer(error: BaseException) -> bool:
    """Whether the tokenizer itself failed, and not whoever stops the process."""
    # A Rust panic arrives as a BaseException of a type that cannot be imported.
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
