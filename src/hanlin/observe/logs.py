"""Logs: one JSON object a line, with the request's id, and never a key.

{"at": "2026-01-01T12:00:00.000Z", "level": "info", "process": "gateway", "logger": "hanlin.gateway", "message": "…", "request_id": "…"}
"""

from __future__ import annotations

import functools
import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import msgspec

_SECRET = re.compile(r"hl_[A-Za-z0-9_-]{20,}")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
READY_LINES = "hanlin_ready_lines"  # extra field of a record that stands for many lines: `{"at": Unix seconds, …}` each
_MAX_LINE = 16_000
_FILE_BYTES = 10 * 2**20
_FILES = 5

_request_id: ContextVar[tuple[str, str] | None] = ContextVar("hanlin_request_id", default=None)


@contextmanager
def request_id(value: str, trace_id: str = "") -> Iterator[None]:
    """Puts `value`, and the id of the trace it belongs to, on every line logged inside the block, in this thread or task."""
    token = _request_id.set((value, trace_id))
    try:
        yield
    finally:
        _request_id.reset(token)


def redact(text: str) -> str:
    """`text` with every API key cut down to its first eight characters."""
    return _SECRET.sub(lambda found: f"{found.group()[:8]}…", text)


class JsonFormatter(logging.Formatter):
    """Turns a record and its extra fields into one line of JSON; keys are cut from all of it, tracebacks too."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One line without line breaks, 16,000 characters at most."""
        if (ready := getattr(record, READY_LINES, None)) is not None:
            return redact("\n".join(msgspec.json.encode(self._stamped(line)).decode() for line in ready))
        line: dict[str, object] = {
            "at": _moment(record.created),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
        }
        line["message"] = record.getMessage()[:_MAX_LINE]
        if (found := _request_id.get()) is not None:
            line["request_id"], trace_id = found
            if trace_id:
                line["trace_id"] = trace_id
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)[-_MAX_LINE:]
        return redact(json.dumps(line, ensure_ascii=False, default=str))

    def _stamped(self, line: dict[str, Any]) -> dict[str, object]:
        return {"at": _moment(line["at"]), "process": self._process, **{name: value for name, value in line.items() if name != "at"}}


@functools.lru_cache(maxsize=4)
def _second(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _moment(at_s: float) -> str:
    """UTC with milliseconds; the seconds are remembered, for most lines share one."""
    return f"{_second(int(at_s))}.{int(at_s % 1 * 1000):03d}Z"


class _Quiet(logging.Handler):
    """A full disk or a closed pipe must not end the process that wanted to log: the line is dropped."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Drops the line."""


class _Stream(_Quiet, logging.StreamHandler[TextIO]):
    pass


class _File(_Quiet, RotatingFileHandler):
    pass


def configure_logs(process: str, *, level: str = "info", path: Path | None = None) -> None:
    """Sends this process's logs to `path` (five files of 10 MB, rotated), or to standard error.

    Replaces what was configured before; call it once, at the start of a process.

    Args:
        process: its name on each line, such as `gateway`.
        level: `debug`, `info`, `warning` or `error`.
        path: the file; its folder is made when missing.
    """
    handler: logging.Handler
    if path is None:
        handler = _Stream(sys.stderr)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _File(path, maxBytes=_FILE_BYTES, backupCount=_FILES - 1, encoding="utf-8", delay=True)
    handler.setFormatter(JsonFormatter(process))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
