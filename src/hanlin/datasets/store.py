"""The stored form of a dataset version: one Parquet file a split, and a manifest. Knows no source formats."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, cast, overload

from hanlin.datasets.splits import SPLITS
from hanlin.errors import DataCorrupt, InvalidInput
from hanlin.types import JsonObject, shorten

if TYPE_CHECKING:
    import pyarrow.parquet as pq

FORMAT = 1
MANIFEST = "manifest.json"
_GROUP_ROWS = 8192
_GROUP_CHARACTERS = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Split:
    """Texts and labels of equal length, in stored order."""

    texts: list[str]
    labels: list[str]

    def __len__(self) -> int:
        return len(self.texts)


def open_split(folder: Path, split: str) -> Iterator[Split]:
    """A stored split piece by piece (at most 8,192 rows or about 8 million characters at once).

    Raises:
        InvalidInput: `unknown_split`.
        DataCorrupt: `dataset_corrupt` when the file is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if split not in SPLITS:
        raise InvalidInput("unknown_split", split=shorten(split), choices=", ".join(SPLITS))
    try:
        with pq.ParquetFile(folder / f"{split}.parquet") as table:
            for group in range(table.num_row_groups):
                rows = table.read_row_group(group, columns=["text", "label"])
                yield Split(rows.column("text").to_pylist(), rows.column("label").to_pylist())
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataCorrupt("dataset_corrupt", split=split, details=str(error)[:500]) from error


def read_split(folder: Path, split: str) -> Split:
    """A whole stored split. Raises like `open_split`."""
    whole = Split([], [])
    for piece in open_split(folder, split):
        whole.texts.extend(piece.texts)
        whole.labels.extend(piece.labels)
    return whole


class StoredColumn(Sequence[str]):
    """One column of a stored split, read again from the file each time it is gone through: memory holds a piece of it."""

    def __init__(self, folder: Path, split: str, name: Literal["texts", "labels"]) -> None:
        self._folder, self._split, self._name = folder, split, name
        self._length = num_rows(folder, split)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[str]:
        for piece in open_split(self._folder, self._split):
            yield from getattr(piece, self._name)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        if not 0 <= place < len(self):
            raise IndexError(place)
        return next(islice(self, place, None))


@dataclass(frozen=True, slots=True)
class StoredSplit:
    """A stored split that may be larger than memory, of the form of `Split`. To be gone through; single places are slow."""

    texts: StoredColumn
    labels: StoredColumn

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def of(cls, folder: Path, split: str) -> StoredSplit:
        """The split in `folder`. Raises like `open_split`."""
        return cls(StoredColumn(folder, split, "texts"), StoredColumn(folder, split, "labels"))


def training_rows(folder: Path, split: str, *, is_streamed: bool) -> Split | StoredSplit:
    """A split to learn from, in memory unless it is streamed."""
    return StoredSplit.of(folder, split) if is_streamed else read_split(folder, split)


def num_rows(folder: Path, split: str) -> int:
    """Rows of a stored split. Raises like `open_split`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(folder / f"{split}.parquet").num_rows)
    except (pa.ArrowException, OSError) as error:
        raise DataCorrupt("dataset_corrupt", split=split, details=str(error)[:500]) from error


def read_manifest(folder: Path) -> JsonObject:
    """What `write_manifest` wrote. Raises DataCorrupt (`dataset_corrupt`)."""
    try:
        value = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        raise DataCorrupt("dataset_corrupt", split=MANIFEST, details=str(error)[:500]) from error
    return cast("JsonObject", value)


def read_labels(folder: Path) -> tuple[str, ...]:
    """All labels of a stored dataset, sorted. Raises DataCorrupt (`dataset_corrupt`)."""
    labels = read_manifest(folder).get("labels")
    if not isinstance(labels, list):
        raise DataCorrupt("dataset_corrupt", split=MANIFEST)
    return tuple(str(label) for label in labels)


def write_manifest(folder: Path, *, task: str, labels: list[str], digests: dict[str, str], rows: dict[str, int]) -> str:
    """Write the manifest; answers the digest of the dataset: SHA-256 of the splits' row digests and the task."""
    core = {
        "format": FORMAT,
        "task": task,
        "labels": labels,
        "splits": {name: {"rows": rows[name], "sha256": digests[name]} for name in SPLITS},
    }
    digest = hashlib.sha256(json.dumps(core, sort_keys=True, ensure_ascii=False).encode("utf-8")).hexdigest()
    text = json.dumps({**core, "digest": digest}, sort_keys=True, ensure_ascii=False, indent=2) + "\n"
    (folder / MANIFEST).write_bytes(text.encode("utf-8"))
    return digest


class SplitWriter:
    """Writes one split's Parquet file in row groups and digests its rows. A context manager."""

    def __init__(self, folder: Path, split: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._schema = pa.schema([("text", pa.string()), ("label", pa.string())])
        self._writer: pq.ParquetWriter = pq.ParquetWriter(
            folder / f"{split}.parquet", self._schema, compression="zstd", write_statistics=False
        )
        self._texts: list[str] = []
        self._labels: list[str] = []
        self._characters = 0
        self._digest = hashlib.sha256()
        self.rows = 0

    def add(self, text: str, label: str) -> None:
        """Append a row."""
        self._texts.append(text)
        self._labels.append(label)
        self._characters += len(text)
        if len(self._texts) >= _GROUP_ROWS or self._characters >= _GROUP_CHARACTERS:
            self._flush()

    def digest(self) -> str:
        """SHA-256 over the rows written so far: each text and label as UTF-8 behind its length."""
        self._flush()
        return self._digest.hexdigest()

    def _flush(self) -> None:
        if not self._texts:
            return
        for pair in zip(self._texts, self._labels, strict=True):
            for value in pair:
                data = value.encode("utf-8")
                self._digest.update(len(data).to_bytes(8, "big") + data)
        self._writer.write_table(self._table(), row_group_size=_GROUP_ROWS)
        self.rows += len(self._texts)
        self._texts, self._labels, self._characters = [], [], 0

    def _table(self) -> object:
        import pyarrow as pa

        return pa.table({"text": self._texts, "label": self._labels}, schema=self._schema)

    def __enter__(self) -> SplitWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
