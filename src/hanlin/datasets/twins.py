"""Which rows stay: duplicates, conflicts and leaks found on disk, in memory that hardly grows with the rows.

Every row leaves a 44-byte record in one of 64 bucket files, chosen by the hash of its *folded* text. Equal texts fold
equally, so whatever may be a twin sits in one bucket, and one bucket at a time is sorted in memory.
Knows hashes and numbers, no text.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hanlin.datasets.report import MAX_LISTED

_BUCKETS = 64
RECORD = np.dtype([("row", "<i8"), ("high", "<u8"), ("low", "<u8"), ("fold", "<u8"), ("label", "<i4"), ("split", "u1"), ("pad", "V7")])
DROPPED = 255

Records = npt.NDArray[np.void]


@dataclass
class Verdict:
    """What becomes of the rows.

    Args:
        splits: one byte a row: position in `SPLITS`, or `DROPPED`.
        conflicts: numbers of the first rows of conflicting texts (smallest first, at most 10).
        leaks: pairs of row numbers (leaking row, its twin in an earlier split; smallest first, at most 10).
    """

    splits: npt.NDArray[np.uint8]
    num_duplicates: int = 0
    num_conflicts: int = 0
    num_conflict_rows: int = 0
    num_leaks: int = 0
    conflicts: list[int] = field(default_factory=list)
    leaks: list[tuple[int, int]] = field(default_factory=list)


class TwinFinder:
    """Collects records, then judges them bucket by bucket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows = 0

    def add(self, records: Records) -> None:
        """Append records, whose `row` counts on from those added before."""
        self._rows += len(records)
        buckets = records["fold"] % _BUCKETS
        order = np.argsort(buckets, kind="stable")
        edges = np.searchsorted(buckets[order], np.arange(_BUCKETS + 1))
        for bucket in np.flatnonzero(np.diff(edges)):
            with self._path(int(bucket)).open("ab") as stream:
                stream.write(records[order[edges[bucket] : edges[bucket + 1]]].tobytes())

    def judge(self) -> Verdict:
        """Decide over every row. Uses one byte a row, plus one bucket."""
        verdict = Verdict(np.full(self._rows, DROPPED, dtype=np.uint8))
        for records in self._buckets():
            _judge_bucket(records, verdict)
        return verdict

    def _buckets(self) -> Iterator[Records]:
        for bucket in range(_BUCKETS):
            if (path := self._path(bucket)).exists():
                yield np.fromfile(path, dtype=RECORD)

    def _path(self, bucket: int) -> Path:
        return self._folder / f"bucket-{bucket:02d}.bin"


def _judge_bucket(records: Records, verdict: Verdict) -> None:
    records = records[np.lexsort((records["row"], records["low"], records["high"]))]
    starts = _group_starts(records["high"], records["low"])
    sizes = np.diff(np.append(starts, len(records)))
    lowest = np.minimum.reduceat(records["label"], starts)
    highest = np.maximum.reduceat(records["label"], starts)
    is_conflict = lowest != highest
    kept = records[starts[~is_conflict]]  # the first row of every text that has one label
    verdict.num_conflicts += int(is_conflict.sum())
    verdict.num_conflict_rows += int(sizes[is_conflict].sum())
    verdict.num_duplicates += int((sizes[~is_conflict] - 1).sum())
    verdict.conflicts = heapq.nsmallest(MAX_LISTED, [*verdict.conflicts, *records["row"][starts[is_conflict]].tolist()])
    verdict.splits[kept["row"]] = kept["split"]
    _find_leaks(kept, verdict)


def _find_leaks(kept: Records, verdict: Verdict) -> None:
    kept = kept[np.lexsort((kept["row"], kept["split"], kept["fold"]))]
    if not len(kept):
        return
    starts = _group_starts(kept["fold"])
    group = np.repeat(starts, np.diff(np.append(starts, len(kept))))  # for each record, where its group starts
    is_leak = kept["split"] > kept["split"][group]  # the group's first record is of its earliest split
    verdict.num_leaks += int(is_leak.sum())
    pairs = zip(kept["row"][is_leak].tolist(), kept["row"][group[is_leak]].tolist(), strict=True)
    verdict.leaks = heapq.nsmallest(MAX_LISTED, [*verdict.leaks, *pairs])


def _group_starts(*keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """Positions where any of the sorted keys changes, 0 included."""
    is_new = np.ones(len(keys[0]), dtype=bool)
    if len(is_new) > 1:
        is_new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return np.flatnonzero(is_new)
