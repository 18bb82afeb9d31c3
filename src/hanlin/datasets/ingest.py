"""Files in, a checked and split dataset version out, in one read and one write whatever their size.

    read rows → check → spill to disk, hashes into buckets → judge duplicates, conflicts, leaks → write the splits

Memory: one batch of rows, one bucket of hashes, and one byte a row (see `twins`). Knows nothing of the registry.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hanlin.datasets.language import LanguageGuess
from hanlin.datasets.lines import Meter
from hanlin.datasets.options import ReadOptions
from hanlin.datasets.readers import Reading, find_format, read_rows
from hanlin.datasets.report import MAX_LISTED, BadRowReport, Counted, DatasetReport, Place, Twin
from hanlin.datasets.rows import RowChecker
from hanlin.datasets.spill import Spill, SpilledRow
from hanlin.datasets.splits import SPLITS, fold, split_index
from hanlin.datasets.store import SplitWriter, write_manifest
from hanlin.datasets.twins import DROPPED, RECORD, TwinFinder, Verdict
from hanlin.datasets.values import PROBLEMS, BadRow, ReadProgress, SourceFile
from hanlin.errors import InvalidInput
from hanlin.messages.said import Said
from hanlin.tasks import Example, Task
from hanlin.tasks.labelled import read_gold
from hanlin.types import shorten

_BATCH_ROWS = 8192
_MAX_NAMED = 5  # labels in a refusal
_BATCH_CHARACTERS = 8 * 2**20


def ingest(
    source: Sequence[SourceFile],
    *,
    task: Task,
    options: ReadOptions,
    out: Path,
    progress: ReadProgress | None = None,
    validation: Sequence[int] = (),
) -> DatasetReport:
    """Read, check and split `source` into `out`: `{train,validation,test}.parquet` and `manifest.json`.

    Args:
        out: an empty or missing folder; also holds the temporary files.
        validation: positions of the files whose rows are the validation split; no other row is then.

    Raises:
        InvalidInput: what makes the files unreadable or untrainable, with file, line and reason.
    """
    work = out / ".work"
    work.mkdir(parents=True)
    try:
        return _Ingest(source, task=task, options=options, out=out, work=work, progress=progress, validation=validation).run()
    finally:
        shutil.rmtree(work, ignore_errors=True)


class _Row(NamedTuple):
    """A checked row; `labels` and `file` are positions."""

    example: Example
    labels: list[int]
    file: int
    line: int


class _Ingest:
    """The state of one run."""

    def __init__(
        self,
        source: Sequence[SourceFile],
        *,
        task: Task,
        options: ReadOptions,
        out: Path,
        work: Path,
        progress: ReadProgress | None,
        validation: Sequence[int],
    ) -> None:
        self._files = source
        self._validation = frozenset(validation)
        self._form = task.examples
        self._options = options
        self._out = out
        self._work = work
        self._kind = find_format(source, options.format, task.examples.formats)
        self._reading = Reading(task, options, Meter(sum(file.path.stat().st_size for file in source), progress))
        self._checker = RowChecker(task.examples)
        self._bad: list[BadRowReport] = []
        self._num_bad = 0
        self._first_single: Place | None = None  # where the first row without a second text is
        self._moved = 0
        self._is_classified = task.examples.is_classified  # until a row comes that has not exactly one label

    def run(self) -> DatasetReport:
        finder = TwinFinder(self._work)
        spill = Spill(self._work / "rows.arrow")
        with spill.writing():
            for batch in self._batches():
                finder.add(self._records(batch, spill.rows))
                spill.add([SpilledRow(row.example.text, row.example.annotation, row.labels, row.file, row.line) for row in batch])
        if not spill.rows:
            self._refuse_nothing()
        return self._write(spill, finder.judge())

    def _batches(self) -> Iterator[list[_Row]]:
        batch: list[_Row] = []
        characters = 0
        for index, row in read_rows(self._files, self._kind, self._reading):
            checked = row if isinstance(row, BadRow) else self._checker.check(row)
            if isinstance(checked, BadRow):
                self._num_bad += 1
                if len(self._bad) < MAX_LISTED:
                    self._bad.append(BadRowReport(Place(self._files[index].name[:200], checked.line), checked.problem))
                continue
            if self._checker.num_singles and self._first_single is None:
                self._first_single = Place(self._files[index].name[:200], row.line)
            self._is_classified &= _has_one_label(checked)
            batch.append(_Row(checked, [self._checker.number(label) for label in checked.labels], index, row.line))
            characters += len(checked.text) + len(checked.annotation)
            if len(batch) >= _BATCH_ROWS or characters >= _BATCH_CHARACTERS:
                yield batch
                batch, characters = [], 0
        if batch:
            yield batch

    def _records(self, batch: list[_Row], first: int) -> np.ndarray:
        records = np.zeros(len(batch), dtype=RECORD)
        hashes, folds, splits = bytearray(), bytearray(), bytearray()
        for row in batch:
            identity = row.example.identity or row.example.text
            digest = hashlib.sha256(identity.encode("utf-8")).digest()
            folded = fold(identity)
            group = row.example.group or identity
            split = self._split(group)
            if self._options.leaks == "move":
                plain, split = split, self._split(fold(group))
                self._moved += plain != split
            hashes += digest[:16]
            folds += hashlib.blake2b(folded.encode("utf-8"), digest_size=8).digest()
            splits.append(self._by_file(row.file, split))
        pairs = np.frombuffer(bytes(hashes), dtype="<u8").reshape(-1, 2)  # (rows, 2)
        records["row"] = np.arange(first, first + len(batch))
        records["high"], records["low"] = pairs[:, 0], pairs[:, 1]
        records["fold"] = np.frombuffer(bytes(folds), dtype="<u8")
        records["label"] = [self._answer(row) for row in batch]
        records["split"] = np.frombuffer(bytes(splits), dtype=np.uint8)
        return records

    def _by_file(self, file: int, split: int) -> int:
        """Where files say what is validated on, hashes do not."""
        if not self._validation:
            return split
        return 1 if file in self._validation else 0 if split == 1 else split

    def _split(self, group: str) -> int:
        return split_index(hashlib.sha256(group.encode("utf-8")).digest(), group, self._options.split)

    def _answer(self, row: _Row) -> int:
        """A number that tells answers to the same question apart."""
        if self._form.is_classified and _has_one_label(row.example):
            return row.labels[0]
        return int.from_bytes(hashlib.blake2b(row.example.annotation.encode("utf-8"), digest_size=4).digest(), "little", signed=True)

    def _write(self, spill: Spill, verdict: Verdict) -> DatasetReport:
        labels = self._checker.labels
        counts = np.zeros((len(labels), len(SPLITS)), dtype=np.int64)
        lengths: Counter[int] = Counter()
        language = LanguageGuess()
        wanted = {row for pair in verdict.leaks for row in pair} | set(verdict.conflicts)
        places: dict[int, Place] = {}
        with ExitStack() as stack:
            writers = [stack.enter_context(SplitWriter(self._out, name)) for name in SPLITS]
            for number, row in enumerate(spill.read()):
                if number in wanted:
                    places[number] = Place(self._files[row.file].name[:200], row.line)
                split = int(verdict.splits[number])
                if split == DROPPED:
                    continue
                writers[split].add(row.text, row.annotation)
                np.add.at(counts, (row.labels, split), 1)
                lengths[len(row.text)] += 1
                language.add(row.text)
            digests = {name: writer.digest() for name, writer in zip(SPLITS, writers, strict=True)}
            rows = {name: writer.rows for name, writer in zip(SPLITS, writers, strict=True)}
        by_label = sorted(zip(labels, counts.tolist(), strict=True))
        kept = [(label, (int(a), int(b), int(c))) for label, (a, b, c) in by_label if a + b + c]
        self._refuse_untrainable(kept, rows, verdict.num_conflict_rows)
        digest = write_manifest(self._out, task=self._reading.task.name, labels=[label for label, _ in kept], digests=digests, rows=rows)
        leaks = [Twin(places[a], SPLITS[verdict.splits[a]], places[b], SPLITS[verdict.splits[b]]) for a, b in verdict.leaks]
        choice = self._reading.choice
        return DatasetReport(
            task=self._reading.task.name,
            format=self._kind,
            encoding=", ".join(sorted(self._reading.encodings)),
            columns=tuple(choice.headers.items()) if choice else (),
            rows_read=spill.rows + self._num_bad,
            rows_kept=sum(rows.values()),
            rows=(rows["train"], rows["validation"], rows["test"]),
            bad_rows=Counted(self._num_bad, tuple(self._bad)),
            duplicates=verdict.num_duplicates,
            conflicts=Counted(verdict.num_conflicts, tuple(places[row] for row in verdict.conflicts)),
            conflict_rows=verdict.num_conflict_rows,
            leaks=Counted(verdict.num_leaks, tuple(leaks)),
            moved=self._moved,
            labels=tuple(kept),
            lengths=_percentiles(lengths),
            split=self._options.split,
            language=language.answer(),
            digest=digest,
            unpaired=self._unpaired(),
        )

    def _unpaired(self) -> Said | None:
        """The warning that some rows have a second text and others have none."""
        pairs, singles, first = self._checker.num_pairs, self._checker.num_singles, self._first_single
        if not pairs or first is None:
            return None
        return Said("unpaired_rows", {"rows": singles, "total": pairs + singles, "file": first.file, "line": first.line})

    def _refuse_nothing(self) -> None:
        if not self._num_bad:
            raise InvalidInput("dataset_empty")
        first = self._bad[0]
        problem = PROBLEMS[first.problem][0]  # told in Chinese by the catalogue
        raise InvalidInput("dataset_all_bad", rows=self._num_bad, file=first.place.file, line=first.place.line, problem=problem)

    def _refuse_untrainable(self, labels: list[tuple[str, tuple[int, int, int]]], rows: dict[str, int], conflicts: int) -> None:
        for split, count in rows.items():
            if not count and not self._is_classified:
                raise InvalidInput("dataset_split_empty", split=split, rows=sum(rows.values()))
        if not self._is_classified:
            return
        if len(labels) < 2:
            raise InvalidInput("dataset_one_class", labels=len(labels), rows=sum(rows.values()), bad=self._num_bad, conflicts=conflicts)
        if small := [label for label, counts in labels if sum(counts) < 2]:
            raise InvalidInput("class_too_small", labels=_listed(small), count=len(small), bad=self._num_bad, conflicts=conflicts)
        for label, counts in labels:
            if not counts[0]:
                raise InvalidInput("class_not_in_train", label=shorten_label(label), rows=sum(counts))
        for split, count in rows.items():
            if not count:
                raise InvalidInput("dataset_split_empty", split=split, rows=sum(rows.values()))


def _listed(labels: list[str]) -> str:
    """The first few labels."""
    return ", ".join([*map(shorten_label, labels[:_MAX_NAMED]), *(["…"] if len(labels) > _MAX_NAMED else [])])


def _has_one_label(example: Example) -> bool:
    """Whether an example of a classification has one label and cannot have more."""
    return len(example.labels) == 1 and read_gold(example.annotation).problem == "single-label"


def shorten_label(label: str) -> str:
    """A label for messages: readable Chinese, unlike `shorten`."""
    return label if len(label) <= 48 else shorten(label)


def _percentiles(lengths: Counter[int]) -> tuple[tuple[str, int], ...]:
    """Nearest-rank percentiles of the counted lengths."""
    total = sum(lengths.values())
    ranks = {"p5": 0.05, "p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    found: dict[str, int] = {}
    seen = 0
    for length in sorted(lengths):
        seen += lengths[length]
        for name, share in ranks.items():
            if name not in found and seen >= share * total:
                found[name] = length
    return tuple((name, found.get(name, 0)) for name in ranks)
