"""Objects of JSON Lines files and of JSON files that hold one list of objects; both are streamed.

An object that says a key twice is a bad row: which of the two was meant is anybody's guess. Source: RFC 8259, section 4.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from hanlin.datasets.lines import Meter, read_lines
from hanlin.datasets.values import MAX_ROW_CHARACTERS, BadRow, SourceFile
from hanlin.encodings import MARK, Encoding
from hanlin.errors import InvalidInput

_CHUNK = 2**20
_BLANK = re.compile(r"[ \t\r\n]*")


class _Twice(ValueError):
    """An object has a key twice."""


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found


_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_once)
_LENIENT = json.JSONDecoder(parse_constant=_no_constant)


def has_key_twice(text: str) -> bool:
    """Whether an object in the JSON `text`, at any depth, says a key twice."""
    if text.count(":") < 2:  # the most rows, and a tenth of the time
        return False
    try:
        _DECODER.decode(text)
    except _Twice:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def read_jsonl(file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[tuple[int, dict[str, object]] | BadRow]:
    """Every object with its line; blank lines are left out."""
    for line in read_lines(file.path, encoding, meter):
        if line.problem:
            yield BadRow(line.number, line.problem)
            continue
        text = line.text.strip()
        if not text:
            continue
        try:
            value = _DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            yield BadRow(line.number, "json_twice" if isinstance(error, _Twice) else "json")
            continue
        yield (line.number, value) if isinstance(value, dict) else BadRow(line.number, "json")


def read_json(file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[tuple[int, dict[str, object]] | BadRow]:
    """Every object of the list with the line it starts on; `{"data": [...]}` and the like are taken for their list.

    Raises:
        InvalidInput: as `read_json_values`.
    """
    for found in read_json_values(file, encoding, meter):
        if isinstance(found, BadRow):
            yield found
            continue
        line, value = found
        yield (line, value) if isinstance(value, dict) else BadRow(line, "json")


def read_json_values(file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[tuple[int, object] | BadRow]:
    """The same of a list of whatever values.

    Raises:
        InvalidInput: `json_unreadable` with the line: after a slip in JSON nothing that follows can be trusted.
    """
    with file.path.open("rb") as raw:
        raw.seek(encoding.bom_bytes)
        with io.TextIOWrapper(raw, encoding=encoding.codec, errors=encoding.errors, newline="") as stream:
            yield from _read_list(_Window(stream, raw, file.name[:200], meter))


def _read_list(window: _Window) -> Iterator[tuple[int, object] | BadRow]:
    if window.peek() == "{":  # an object around the list: step into it if only one key stands before
        window.expect(re.compile(r'\{\s*"[^"\\]{0,100}"\s*:\s*'))
    if not window.peek():
        return
    window.expect(re.compile(r"\["))
    while window.peek() != "]":
        line, value, problem = window.value()
        yield BadRow(line, problem) if problem else (line, value)
        sign = window.peek()
        if sign == ",":
            window.expect(re.compile(","))
            if window.peek() != "]":
                continue
        if sign != "]":
            raise window.unreadable()


def _decode(text: str, at: int) -> tuple[object, int, str]:
    """The value that begins at `at`, where it ends, and its problem. Raises ValueError, RecursionError: there is none, or not all of it."""
    try:
        return *_DECODER.raw_decode(text, at), ""
    except _Twice:
        return *_LENIENT.raw_decode(text, at), "json_twice"


class _Window:
    """A sliding piece of the file; counts the lines it leaves behind."""

    def __init__(self, stream: io.TextIOWrapper, raw: BinaryIO, name: str, meter: Meter) -> None:
        self._stream = stream
        self._raw = raw
        self._name = name
        self._meter = meter
        self._text = ""
        self._at = 0
        self._line = 1

    def peek(self) -> str:
        """The next sign that is not blank, moved up to; empty at the end."""
        while True:
            match = _BLANK.match(self._text, self._at)
            self._move(match.end() if match else self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def expect(self, pattern: re.Pattern[str]) -> None:
        """Move past `pattern`. Raises InvalidInput (`json_unreadable`)."""
        match = pattern.match(self._text, self._at)
        if match is None:
            raise self.unreadable()
        self._move(match.end())

    def value(self) -> tuple[int, object, str]:
        """The next value with the line it starts on, and what is wrong with it, a key of `PROBLEMS`; empty: nothing."""
        line = self._line
        while True:
            try:
                value, end, problem = _decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                # Cut off by the window, perhaps: look again with twice as much, as long as a row may be.
                if isinstance(error, RecursionError) or len(self._text) - self._at > MAX_ROW_CHARACTERS or not self._more():
                    raise self.unreadable() from error
                continue
            problem = "bytes" if MARK in self._text[self._at : end] else problem
            self._move(end)
            return line, value, problem

    def unreadable(self) -> InvalidInput:
        """The error for what stands here."""
        return InvalidInput("json_unreadable", file=self._name, line=self._line)

    def _move(self, to: int) -> None:
        self._line += self._text.count("\n", self._at, to)
        self._at = to

    def _more(self) -> bool:
        chunk = self._stream.read(max(_CHUNK, len(self._text) - self._at))
        self._text = self._text[self._at :] + chunk
        self._at = 0
        self._meter.show(self._raw.tell())
        return bool(chunk)
