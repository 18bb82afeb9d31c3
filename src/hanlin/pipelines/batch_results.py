"""Results and errors of a batch as they grow, and the mark that says how far they are right. A kill at any byte costs a second's work.

Rows are written in order. The mark is published after the files were synced; a new attempt cuts off what stands behind it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from hanlin.storage.durable import write_atomically
from hanlin.storage.failures import disk_errors


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a batch is.

    Args:
        offset: byte of the spool behind the last row that is done.
        rows: rows done: `completed` with a result, `failed` with an error.
        output_bytes: length of the results; `errors_bytes`: of the errors.
    """

    offset: int = 0
    rows: int = 0
    completed: int = 0
    failed: int = 0
    output_bytes: int = 0
    errors_bytes: int = 0


class Results:
    """The two files in `folder`, open at the place of the last mark.

    Attributes:
        mark: what is written, saved or not.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "mark.json"
        self.output, self.errors = folder / "output.jsonl", folder / "errors.jsonl"
        self.mark = self._saved = self._find()
        with disk_errors():
            self._output = _open_at(self.output, self.mark.output_bytes)
            self._errors = _open_at(self.errors, self.mark.errors_bytes)

    def add(self, good: Sequence[bytes], bad: Sequence[bytes], offset: int) -> None:
        """The lines of the next rows, which end at `offset` of the spool."""
        output, errors = b"".join(good), b"".join(bad)
        with disk_errors():
            self._output.write(output)
            self._errors.write(errors)
        mark = self.mark
        self.mark = Mark(
            offset, mark.rows + len(good) + len(bad), mark.completed + len(good), mark.failed + len(bad),
            mark.output_bytes + len(output), mark.errors_bytes + len(errors),
        )  # fmt: skip

    def save(self) -> None:
        """Makes everything up to here durable. Raises NotReady (`storage_full`)."""
        if self.mark == self._saved:
            return
        with disk_errors():
            for stream in (self._output, self._errors):
                stream.flush()
                os.fsync(stream.fileno())
            write_atomically(self._path, msgspec.json.encode(self.mark))
        self._saved = self.mark

    def close(self) -> None:
        """Gives the files back, what was not saved included."""
        with disk_errors():
            self._output.close()
            self._errors.close()

    def _find(self) -> Mark:
        """The last mark; none when the files do not reach it, which no kill does."""
        try:
            mark = msgspec.json.decode(self._path.read_bytes(), type=Mark)
            is_whole = self.output.stat().st_size >= mark.output_bytes and self.errors.stat().st_size >= mark.errors_bytes
        except (FileNotFoundError, msgspec.MsgspecError):
            return Mark()
        return mark if is_whole else Mark()


def _open_at(path: Path, length: int) -> BinaryIO:
    stream = path.open("r+b" if path.exists() else "w+b", buffering=2**20)
    stream.truncate(length)
    stream.seek(length)
    return stream
