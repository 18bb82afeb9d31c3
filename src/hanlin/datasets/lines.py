"""Lines of a text file in its encoding, with numbers, in bounded memory. Knows no format."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from hanlin.datasets.values import MAX_ROW_CHARACTERS, ReadProgress
from hanlin.encodings import MARK, Encoding


class Line(NamedTuple):
    """A line with its end mark; `is_whole` is false when it was too long and cut off."""

    number: int
    text: str
    is_whole: bool = True

    @property
    def problem(self) -> str:
        """What makes the line unusable, a key of `PROBLEMS`; empty when it is sound."""
        return "bytes" if MARK in self.text else "" if self.is_whole else "row_too_long"


class Meter:
    """Adds up the bytes read over all files for a progress report."""

    def __init__(self, total: int, progress: ReadProgress | None) -> None:
        self._total = total
        self._progress = progress
        self._before = 0

    def show(self, position: int) -> None:
        """Report that the current file is read up to `position`."""
        if self._progress is not None:
            self._progress(self._before + position, self._total)

    def finish(self, size: int) -> None:
        """The current file, of `size` bytes, is done."""
        self._before += size
        self.show(0)


def read_lines(path: Path, encoding: Encoding, meter: Meter, *, limit: int = MAX_ROW_CHARACTERS) -> Iterator[Line]:
    r"""Lines ended by `\n`, `\r\n` or `\r`; one longer than `limit` characters comes cut off and marked, the rest is skipped."""
    with path.open("rb") as raw:
        raw.seek(encoding.bom_bytes)
        with io.TextIOWrapper(raw, encoding=encoding.codec, errors=encoding.errors, newline="") as stream:
            number = 0
            while text := stream.readline(limit + 1):
                number += 1
                if number % 5000 == 0:
                    meter.show(_position(raw))
                if len(text) <= limit:
                    yield Line(number, text)
                    continue
                start = text
                while text and text[-1] not in "\r\n":
                    text = stream.readline(limit)
                yield Line(number, start[:1000], is_whole=False)


def read_pieces(path: Path, encoding: Encoding, meter: Meter, *, size: int = 65_536) -> Iterator[Line]:
    """The same where lines mean nothing and may be as long as the file: what is longer than `size` comes in pieces of one number."""
    with path.open("rb") as raw:
        raw.seek(encoding.bom_bytes)
        with io.TextIOWrapper(raw, encoding=encoding.codec, errors=encoding.errors, newline="") as stream:
            number = count = 1
            while text := stream.readline(size):
                yield Line(number, text)
                number += text[-1] in "\r\n"
                count += 1
                if count % 5000 == 0:
                    meter.show(_position(raw))


def _position(raw: BinaryIO) -> int:
    return raw.tell()
