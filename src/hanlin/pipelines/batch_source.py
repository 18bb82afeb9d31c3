"""From the file of a batch to the lines of its spool: read in whatever form it has, every row checked and numbered."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator

import msgspec
import orjson

from hanlin.datasets.inputs import InputColumns, InputRow, read_inputs
from hanlin.datasets.lines import Line, Meter, read_lines
from hanlin.datasets.read_json import has_key_twice
from hanlin.datasets.readers import find_format
from hanlin.datasets.values import MAX_ROW_CHARACTERS, BadRow, SourceFile
from hanlin.encodings import detect
from hanlin.errors import InvalidInput
from hanlin.messages.said import Said
from hanlin.types import JsonObject, shorten

MAX_TOLD = 50
_FIELDS = ("custom_id", "method", "url", "body")
_encoder = msgspec.json.Encoder(enc_hook=str)  # moments and the like that Parquet may hold in the column of ids


def row_lines(file: SourceFile, form: str, columns: InputColumns, *, max_rows: int) -> Iterator[bytes]:
    """The spool's lines of a file of rows. A `.txt` of no said form and columns has no header: each line is a text, where it holds any.

    Raises:
        InvalidInput: the file cannot be read; `too_many_batch_rows`.
    """
    is_plain = not form and not columns.text and not columns.id and file.name.lower().endswith(".txt")
    rows = _plain_rows(file) if is_plain else read_inputs(file, find_format([file], form), columns)
    for number, found in enumerate(rows, 1):
        _check_count(number, max_rows)
        if isinstance(found, BadRow):
            yield _encoder.encode([number, found.line, found.problem])
        else:
            yield _line(number, found)


def _plain_rows(file: SourceFile) -> Iterator[InputRow | BadRow]:
    for line in _lines_of(file):
        if line.problem:
            yield BadRow(line.number, line.problem)
        elif text := line.text.strip():
            yield InputRow(line.number, text)


def _lines_of(file: SourceFile) -> Iterator[Line]:
    return read_lines(file.path, detect(file.path, name=file.name), Meter(file.path.stat().st_size, None))


def _line(number: int, row: InputRow) -> bytes:
    try:
        return _encoder.encode([number, row.line, "", row.inputs, row.parameters, row.id])
    except UnicodeEncodeError:
        return _encoder.encode([number, row.line, "text_unicode"])
    except RecursionError:  # nested so deeply is no input of any task
        return _encoder.encode([number, row.line, "json"])


class Requests:
    """Lines of requests as OpenAI's batches have them: `{"custom_id", "method", "url", "body"}`. One wrong line refuses the file.

    Attributes:
        problems: the first lines that are wrong, as a batch tells its `errors`.
    """

    def __init__(self, file: SourceFile, url: str, *, max_rows: int) -> None:
        self._file = file
        self._url = url
        self._max_rows = max_rows
        self._names = array("Q")  # digests of the ids: 8 bytes a row
        self.problems: list[JsonObject] = []
        self.num_problems = 0

    def lines(self) -> Iterator[bytes]:
        """The spool's lines. Raises InvalidInput (`batch_lines_wrong`) behind the last when any was wrong; `too_many_batch_rows`."""
        for number, line in enumerate(self._lines(), 1):
            _check_count(number, self._max_rows)
            if (value := self._request(line)) is not None:
                try:
                    yield _encoder.encode([number, line.number, "", value["body"], None, value["custom_id"]])
                except RecursionError:
                    self._note(line.number, "batch_line_body", "body")
        self._find_twins()
        if self.num_problems:
            first, problem = str(self.problems[0]["line"]), str(self.problems[0]["message"])
            raise InvalidInput("batch_lines_wrong", count=self.num_problems, line=first, problem=problem)

    def _lines(self) -> Iterator[Line]:
        return (line for line in _lines_of(self._file) if line.text.strip())

    def _request(self, found: Line) -> JsonObject | None:
        """The line when it is right."""
        line, value = found.number, _object(found)
        if value is None:
            if found.is_whole:
                self._note(line, "batch_line_json")
            else:
                self._note(line, "batch_line_too_long", limit=f"{MAX_ROW_CHARACTERS:,}")
            return None
        name, body = value.get("custom_id"), value.get("body")
        if has_key_twice(found.text):
            self._note(line, "batch_line_twice")
        elif (unknown := next((field for field in value if field not in _FIELDS), None)) is not None:
            self._note(line, "batch_line_field", name=shorten(unknown), choices=", ".join(_FIELDS))
        elif not isinstance(name, str) or not name or len(name) > 512 or "\0" in name:
            self._note(line, "batch_line_custom_id", "custom_id")
        elif value.get("method") != "POST":
            self._note(line, "batch_line_method", "method")
        elif value.get("url") != self._url:
            self._note(line, "batch_line_url", "url", url=self._url)
        elif not isinstance(body, dict):
            self._note(line, "batch_line_body", "body")
        elif body.get("stream"):
            self._note(line, "batch_line_stream", "body")
        else:
            self._names.append(_digest(name))
            return value
        return None

    def _find_twins(self) -> None:
        """Notes the lines whose id stood before. Sorted digests cost 16 bytes a row, a set of the ids a hundred."""
        import numpy as np

        digests = np.sort(np.frombuffer(self._names, dtype=np.uint64)) if self._names else np.zeros(0, np.uint64)
        twins = {int(value) for value in digests[1:][digests[1:] == digests[:-1]]}
        seen: set[int] = set()
        for line in self._lines() if twins else ():
            value = _object(line)
            if value is not None and (digest := _digest(str(value.get("custom_id")))) in twins:
                if digest in seen:
                    self._note(line.number, "batch_line_twin", "custom_id")
                seen.add(digest)

    def _note(self, line: int, code: str, param: str | None = None, **params: str) -> None:
        self.num_problems += 1
        if len(self.problems) < MAX_TOLD:
            self.problems.append({"code": code, "message": Said(code, dict(params)).text("en"), "param": param, "line": line})


def _object(line: Line) -> JsonObject | None:
    try:
        value = orjson.loads(line.text) if line.is_whole else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _digest(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _check_count(number: int, limit: int) -> None:
    if number > limit:
        raise InvalidInput("too_many_batch_rows", limit=limit)
