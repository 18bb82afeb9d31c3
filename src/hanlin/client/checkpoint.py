"""A file of answers that only grows, from which a broken `map` goes on. One JSON line for the question, then one a group of texts.

A line counts once its line end is there: what a kill left half written is cut off. Each line names a digest of its texts, so that
answers never go to other texts than those they were given to.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from hanlin.client.questions import Question
from hanlin.client.value import JsonObject
from hanlin.errors import Conflict, DataCorrupt, HanlinError, InvalidInput, from_wire
from hanlin.types import shorten

T = TypeVar("T")
VERSION = 1
_BEGINNING = b'{"hanlin_map":'  # of every such file
_MAX_HEAD_BYTES = 2**20


class Checkpoint(Generic[T]):
    """The open file; `close` it.

    Raises:
        InvalidInput: `file_unwritable`.
        Conflict: `checkpoint_in_use`, or `checkpoint_of_other_work` when it was begun for another endpoint or question.
        DataCorrupt: `checkpoint_corrupt`.
    """

    def __init__(self, path: str | Path, endpoint: str, question: Question[T]) -> None:
        self._name = shorten(str(path), 200)
        self._question = question
        self._head: JsonObject = {"hanlin_map": VERSION, "endpoint": endpoint, **question.options()}
        self._file = self._open(Path(path))
        try:
            self._lock()
            self._check_head()
            self._cut_half_line()
        except BaseException:
            self._file.close()
            raise

    def _open(self, path: Path) -> BinaryIO:
        try:
            return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        except OSError as error:
            raise InvalidInput("file_unwritable", path=self._name, problem=error.strerror or type(error).__name__) from error

    def _lock(self) -> None:
        """One process at a time; a killed one leaves no lock. Not on Windows, which has no `fcntl`."""
        with contextlib.suppress(ImportError):
            import fcntl

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Conflict("checkpoint_in_use", path=self._name) from error

    def _cut_half_line(self) -> None:
        """Everything behind the last line end goes."""
        end = self._file.seek(0, os.SEEK_END)
        while end > 0:
            begin = max(0, end - 65536)
            self._file.seek(begin)
            last = self._file.read(end - begin).rfind(b"\n")
            if last >= 0:
                end = begin + last + 1
                break
            end = begin
        self._file.truncate(end)
        self._file.seek(0)
        if not self._file.readline():
            self._write(self._head)

    def _check_head(self) -> None:
        """Before anything is cut off: a file that is none of ours stays as it is."""
        line = self._file.readline(_MAX_HEAD_BYTES)
        if line.endswith(b"\n"):
            if self._value_of(line) != json.loads(json.dumps(self._head)):
                raise Conflict("checkpoint_of_other_work", path=self._name)
        elif not line.startswith(_BEGINNING[: len(line)]):
            raise DataCorrupt("checkpoint_corrupt", path=self._name)

    def _value_of(self, line: bytes) -> JsonObject:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataCorrupt("checkpoint_corrupt", path=self._name) from error
        if not isinstance(value, dict):
            raise DataCorrupt("checkpoint_corrupt", path=self._name)
        return value

    def kept(self) -> Iterator[Kept[T]]:
        """What was answered before, group by group. Read all of it before the first `add`."""
        while line := self._file.readline():
            value = self._value_of(line)
            try:
                answers = [self._answer_of(row) for row in value["answers"]]  # type: ignore[union-attr]
                yield Kept(self._name, str(value["digest"]), answers)
            except (KeyError, ValueError, TypeError) as error:
                raise DataCorrupt("checkpoint_corrupt", path=self._name) from error

    def _answer_of(self, row: object) -> T | HanlinError:
        if not isinstance(row, dict):
            raise TypeError("not an answer")
        return from_wire(row["error"]) if "error" in row else self._question.from_json(row["answer"])

    def add(self, texts: Sequence[object], answers: Sequence[T | HanlinError]) -> None:
        """Write a group down. It survives the death of this process; that of the machine once `close` has run."""
        rows = [
            {"error": answer.to_wire()} if isinstance(answer, HanlinError) else {"answer": self._question.to_json(answer)}
            for answer in answers
        ]
        self._write({"digest": digest_of(texts), "answers": rows})

    def _write(self, value: object) -> None:
        try:
            self._file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n")
            self._file.flush()
        except OSError as error:
            raise InvalidInput("file_unwritable", path=self._name, problem=error.strerror or type(error).__name__) from error

    def close(self) -> None:
        """Bring it to the disk and let go of it."""
        with contextlib.suppress(OSError, ValueError):
            os.fsync(self._file.fileno())
        with contextlib.suppress(OSError):
            self._file.close()


class Kept(Generic[T]):
    """The answers of one group that were written down."""

    def __init__(self, name: str, digest: str, answers: list[T | HanlinError]) -> None:
        self._name = name
        self._digest = digest
        self.answers = answers

    def check(self, texts: Sequence[object]) -> None:
        """Raises Conflict (`checkpoint_of_other_work`) when these are not the texts that were answered."""
        if len(texts) != len(self.answers) or digest_of(texts) != self._digest:
            raise Conflict("checkpoint_of_other_work", path=self._name)


def digest_of(texts: Sequence[object]) -> str:
    """Of the texts in order; nothing else has it."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else repr(text).encode("utf-8", "surrogatepass")
        digest.update(b"%d%c" % (len(data), b"s" if isinstance(text, str) else b"o"))
        digest.update(data)
    return digest.hexdigest()
