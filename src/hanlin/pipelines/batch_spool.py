"""The rows of a batch on the disk, in one form whatever the file was: checked and counted once, then read on from any place.

A line is one row. It is built aside and published whole; a job that was killed before begins it anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hanlin.storage.durable import publish, write_atomically
from hanlin.storage.failures import disk_errors

NULL = msgspec.Raw(b"null")
_BUFFER_BYTES = 2**20
_LOOK_ROWS = 2000


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One row of the input.

    Args:
        number: place in the input, from 1.
        line: where it begins in the file.
        problem: a key of `datasets.values.PROBLEMS`; empty when it can be asked.
        inputs: JSON text: what is asked; of OpenAI's form the whole body.
        parameters: JSON text: of this row alone.
        id: JSON text: what the caller calls the row.
    """

    number: int
    line: int
    problem: str = ""
    inputs: msgspec.Raw = NULL
    parameters: msgspec.Raw = NULL
    id: msgspec.Raw = NULL

    @property
    def is_text(self) -> bool:
        """Whether it may be asked in one call with others."""
        return bytes(self.parameters) == b"null" and bytes(self.inputs).startswith(b'"')


@dataclass(frozen=True, slots=True)
class Spool:
    """A finished spool and how many rows it has."""

    path: Path
    rows: int

    def read(self, offset: int) -> Iterator[tuple[Row, int]]:
        """Rows from byte `offset` on, each with the byte behind it."""
        decoder = msgspec.json.Decoder(Row)
        with self.path.open("rb", buffering=_BUFFER_BYTES) as stream:
            stream.seek(offset)
            for line in stream:
                offset += len(line)
                yield decoder.decode(line), offset


def find_spool(folder: Path) -> Spool | None:
    """The spool that an earlier attempt has finished, or None."""
    try:
        return Spool(folder / "rows.jsonl", int(json.loads((folder / "rows.json").read_text(encoding="utf-8"))["rows"]))
    except FileNotFoundError:
        return None


def build_spool(folder: Path, lines: Iterator[bytes], look: Callable[[], None]) -> Spool:
    """Writes `lines` (without their ends) down, durably.

    Args:
        look: called now and then; raises to give up.

    Raises:
        NotReady: `storage_full`, `storage_unavailable`; and whatever `lines` and `look` raise.
    """
    aside, path, count = folder / "rows.part", folder / "rows.jsonl", 0
    with disk_errors(), aside.open("wb", buffering=_BUFFER_BYTES) as stream:
        for line in lines:
            stream.write(line)
            stream.write(b"\n")
            count += 1
            if count % _LOOK_ROWS == 0:
                look()
        stream.flush()
        os.fsync(stream.fileno())
    publish(aside, path)
    write_atomically(folder / "rows.json", json.dumps({"rows": count}).encode())
    return Spool(path, count)
