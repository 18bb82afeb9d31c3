"""`multipart/form-data` read strictly: one file, streamed to the disk and never held in memory, and a few short fields."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from hanlin.errors import InvalidInput
from hanlin.storage.durable import write_all
from hanlin.storage.failures import disk_errors
from hanlin.types import shorten

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # what callers get wrong is told to them, not to the log

_MAX_FIELD_BYTES = 4096
_MAX_FIELDS = 16
_SLACK_BYTES = 64 * 2**10  # boundaries, heads and fields around the file
_WRITE_BYTES = 2**20


@dataclass(slots=True)
class Form:
    """What was sent: fields by name, and the file, which is removed on `close`."""

    path: Path
    fields: dict[str, str] = field(default_factory=dict)
    file_field: str = ""
    file_name: str = ""

    def close(self) -> None:
        """Removes the file, unless it was taken away."""
        self.path.unlink(missing_ok=True)


async def read_form(request: Request, folder: Path, *, limit: int, prefix: str = "") -> Form:
    """The form of `request`; close it. Its file lies in `folder`.

    Args:
        limit: bytes of the file.
        prefix: of its name while it arrives.

    Raises:
        InvalidInput: `wrong_form`, `batch_file_too_large`.
        NotReady: `storage_full`.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise InvalidInput("wrong_form")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit + _SLACK_BYTES:
        raise InvalidInput("batch_file_too_large", size_bytes=int(declared), limit=limit)
    with disk_errors():
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=prefix, suffix=".tmp")
    form = Form(Path(name))
    try:
        await _parse(request, options[b"boundary"], _Reader(form, handle, limit), limit + _SLACK_BYTES)
    except BaseException:
        form.close()
        raise
    finally:
        os.close(handle)
    return form


async def _parse(request: Request, boundary: bytes, reader: _Reader, limit: int) -> None:
    size = 0
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]  # a dict of what we have is enough
        async for chunk in request.stream():
            parser.write(chunk)
            size += len(chunk)
            if size > limit:  # before the first part or behind the last one: a body in chunks declares no size
                raise InvalidInput("wrong_form")
            if len(reader.pending) >= _WRITE_BYTES:
                await asyncio.to_thread(reader.flush)
        parser.finalize()
    except FormParserError as error:
        raise InvalidInput("wrong_form") from error
    await asyncio.to_thread(reader.flush)
    if not reader.is_whole:
        raise InvalidInput("wrong_form")


class _Reader:
    """Takes the parser's events. Raises InvalidInput.

    Args:
        handle: of the form's file, open for writing.
        limit: bytes of the file.
        prefix: of its name while it arrives.
    """

    def __init__(self, form: Form, handle: int, limit: int) -> None:
        self._form = form
        self._handle = handle
        self._limit = limit
        self._size = 0
        self._name, self._value, self._is_file = "", bytearray(), False
        self._header, self._headers = [bytearray(), bytearray()], dict[bytes, bytes]()
        self.pending = bytearray()
        self.is_whole = False

    def callbacks(self) -> dict[str, object]:
        """For the parser."""
        return {
            "on_part_begin": self._begin, "on_header_field": self._header_field, "on_header_value": self._header_value,
            "on_header_end": self._header_end, "on_headers_finished": self._open, "on_part_data": self._data, "on_part_end": self._end,
            "on_end": self._finish,
        }  # fmt: skip

    def flush(self) -> None:
        """Writes what is held back."""
        with disk_errors():
            write_all(self._handle, self.pending)
        self.pending.clear()

    def _begin(self) -> None:
        self._headers, self._value, self._is_file = {}, bytearray(), False
        self._header = [bytearray(), bytearray()]

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._header[0]).lower()] = bytes(self._header[1])
        self._header = [bytearray(), bytearray()]

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = b"filename" in options
        if not self._is_file:
            return
        if self._form.file_field:
            raise InvalidInput("wrong_form")
        self._form.file_field = self._name
        self._form.file_name = options[b"filename"].decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._value += data[start:end]
            if len(self._value) > _MAX_FIELD_BYTES:
                raise InvalidInput("wrong_form")
            return
        self._size += end - start
        if self._size > self._limit:
            raise InvalidInput("batch_file_too_large", size_bytes=self._size, limit=self._limit)
        self.pending += data[start:end]

    def _end(self) -> None:
        if self._is_file:
            return
        if len(self._form.fields) == _MAX_FIELDS or self._name in self._form.fields:
            raise InvalidInput("wrong_form")
        try:
            self._form.fields[self._name] = self._value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidInput("invalid_parameter", name=shorten(self._name), expected="a string", found="other bytes") from error

    def _finish(self) -> None:
        self.is_whole = True
