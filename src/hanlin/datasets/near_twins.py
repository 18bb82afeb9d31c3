"""Rows whose texts are nearly the same, found without comparing all with all: MinHash and locality-sensitive hashing.

A text is the set of its shingles, and two texts are as alike as their sets: shared shingles over all shingles (Jaccard). 64 random orders
of all shingles each name the first one of a set; for two sets these are equal as often as the sets are alike. 16 bands of 4 make two rows
candidates when any band is equal: of pairs alike to 0.7 that finds 98.8 %, to 0.8 99.98 %. Candidates are then compared exactly.
Shingles and bands wait on disk; memory holds about 60 bytes a row.

Source: Broder 1997, On the resemblance and containment of documents; Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, chapter 3.
We depart in one thing: of rows that are equal in a band, each is compared with the first and with the one before, not with all.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hanlin.datasets.shingles import Hashes, Numbers, distinct, shingles_of

BANDS, ROWS_OF_BAND = 16, 4
LIKENESS = 0.7
_AT_ONCE = 2_000_000  # characters hashed at once
_COMPARED_AT_ONCE = 4_000_000  # shingles compared at once
_Wide = npt.NDArray[np.uint64]


class NearPair(NamedTuple):
    """Two rows by number, the lower first, and how alike they are, 0 to 1."""

    first: int
    second: int
    likeness: float


@dataclass(frozen=True, slots=True)
class NearTwins:
    """What was found.

    Attributes:
        pairs: every pair that was compared and is alike enough, as columns (first, second, likeness) in order of rows.
        leaders: of each row the first row of its group of near-twins, itself where it has none.
    """

    first: Numbers
    second: Numbers
    likeness: npt.NDArray[np.float32]
    leaders: Numbers

    @property
    def rows(self) -> int:
        """Rows that are near-twins of an earlier one."""
        return int((self.leaders != np.arange(len(self.leaders))).sum())

    @property
    def groups(self) -> int:
        """Groups of near-twins."""
        return len(np.unique(self.leaders[self.second])) if len(self.second) else 0

    @property
    def largest(self) -> int:
        """Rows of the largest group; 0 without any."""
        return int(np.bincount(self.leaders).max()) if len(self.second) else 0

    def likest(self, limit: int, chosen: npt.NDArray[np.bool_] | None = None) -> list[NearPair]:
        """At most `limit` pairs (of those `chosen`), the likest first."""
        where = np.arange(len(self.first)) if chosen is None else np.flatnonzero(chosen)
        best = heapq.nsmallest(limit, where.tolist(), key=lambda place: (-self.likeness[place], self.first[place], self.second[place]))
        return [NearPair(int(self.first[place]), int(self.second[place]), float(self.likeness[place])) for place in best]


class NearTwinFinder:
    """Takes texts in order, then finds. `folder` holds its files; the caller removes them."""

    def __init__(self, folder: Path, *, likeness: float = LIKENESS, seed: int = 1) -> None:
        self._folder, self._likeness = folder, likeness
        chance = np.random.Generator(np.random.PCG64(seed))
        self._factors = chance.integers(0, 2**64, BANDS * ROWS_OF_BAND, dtype=np.uint64) | np.uint64(1)
        self._terms = chance.integers(0, 2**64, BANDS * ROWS_OF_BAND, dtype=np.uint64)
        self._sizes: list[Numbers] = []
        self._texts: list[Numbers] = []  # hash of each text as it is

    def add(self, texts: Sequence[str]) -> None:
        """Hash texts, whose rows count on from those added before."""
        for piece in _pieces(texts):
            found = shingles_of(piece)
            self._sizes.append(found.sizes)
            self._texts.append(np.fromiter(map(hash, piece), dtype=np.int64, count=len(piece)))
            with (self._folder / "shingles.bin").open("ab") as stream:
                stream.write(found.hashes.tobytes())
            for band, keys in enumerate(self._keys(found.hashes, found.starts)):
                with (self._folder / f"band-{band:02d}.bin").open("ab") as stream:
                    stream.write(keys.tobytes())

    def find(self) -> NearTwins:
        """All near-twins among the rows that were added; of rows with the very same text only the first is compared."""
        sizes = np.concatenate([*self._sizes, np.zeros(0, np.int64)])
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        found = np.zeros(0, dtype=np.uint64)
        is_compared = sizes > 0
        if len(sizes):
            is_first = np.zeros(len(sizes), dtype=bool)
            is_first[np.unique(np.concatenate(self._texts), return_index=True)[1]] = True
            is_compared &= is_first
        if is_compared.any():
            for band in range(BANDS):
                keys = np.fromfile(self._folder / f"band-{band:02d}.bin", dtype=np.uint64)
                found = distinct(np.concatenate([found, _candidates(keys, is_compared)]))
        first, second = (found >> np.uint64(32)).astype(np.int64), (found & np.uint64(0xFFFFFFFF)).astype(np.int64)
        likeness = self._compare(first, second, starts)
        kept = likeness >= self._likeness
        first, second = first[kept], second[kept]
        return NearTwins(first, second, likeness[kept], _leaders(len(sizes), first, second))

    def _keys(self, hashes: Hashes, starts: Numbers) -> Iterator[_Wide]:
        """The key of each text in each band; of a text without shingles it means nothing."""
        wide = hashes.astype(np.uint64)
        has_some = starts[:-1] < starts[1:]
        begins = starts[:-1][has_some]
        for band in range(BANDS):
            keys = np.zeros(len(has_some), dtype=np.uint64)
            for number in range(band * ROWS_OF_BAND, (band + 1) * ROWS_OF_BAND):
                if len(begins):
                    least = np.minimum.reduceat((wide * self._factors[number] + self._terms[number]) >> np.uint64(32), begins)
                    keys[has_some] = (keys[has_some] + least + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
            yield keys

    def _compare(self, first: Numbers, second: Numbers, starts: Numbers) -> npt.NDArray[np.float32]:
        """How alike the sets of each pair are."""
        found = np.zeros(len(first), dtype=np.float32)
        if not len(first):
            return found
        hashes = np.memmap(self._folder / "shingles.bin", dtype=np.uint32, mode="r")
        sizes = np.diff(starts)
        ends = np.cumsum(sizes[first] + sizes[second])
        low = 0
        while low < len(first):
            done = ends[low - 1] if low else 0
            high = max(low + 1, int(np.searchsorted(ends, done + _COMPARED_AT_ONCE)))
            one, other = (_gathered(hashes, starts, rows[low:high]) for rows in (first, second))
            keys = np.sort(np.concatenate([one, other]))
            shared = np.bincount((keys[1:][keys[1:] == keys[:-1]] >> np.uint64(32)).astype(np.int64), minlength=high - low)
            found[low:high] = shared / (sizes[first[low:high]] + sizes[second[low:high]] - shared)
            low = high
        return found


def _pieces(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    low = size = 0
    for place, text in enumerate(texts):
        size += len(text)
        if size >= _AT_ONCE:
            yield texts[low : place + 1]
            low, size = place + 1, 0
    if low < len(texts):
        yield texts[low:]


def _candidates(keys: _Wide, has_some: npt.NDArray[np.bool_]) -> _Wide:
    """Pairs of rows with equal keys, as `first << 32 | second`: each row with the first of its key, and with the one before."""
    rows = np.flatnonzero(has_some)
    order = np.argsort(keys[rows], kind="stable")
    rows, ranked = rows[order], keys[rows[order]]
    is_same = np.zeros(len(rows), dtype=bool)
    is_same[1:] = ranked[1:] == ranked[:-1]
    starts = np.maximum.accumulate(np.where(is_same, 0, np.arange(len(rows))))
    places = np.flatnonzero(is_same)
    firsts, befores, seconds = (rows[where].astype(np.uint64) for where in (starts[places], places - 1, places))
    return np.concatenate([(firsts << np.uint64(32)) | seconds, (befores << np.uint64(32)) | seconds])


def _gathered(hashes: Hashes, starts: Numbers, rows: Numbers) -> _Wide:
    """Shingles of rows as `place << 32 | hash`."""
    sizes = starts[rows + 1] - starts[rows]
    places = np.repeat(np.arange(len(rows)), sizes)
    within = np.arange(len(places)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    found: _Wide = (places.astype(np.uint64) << np.uint64(32)) | hashes[starts[rows][places] + within].astype(np.uint64)
    return found


def _leaders(rows: int, first: Numbers, second: Numbers) -> Numbers:
    """Of each row the lowest row that pairs lead to."""
    leaders = list(range(rows))

    def leader(row: int) -> int:
        while leaders[row] != row:
            leaders[row] = row = leaders[leaders[row]]
        return row

    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        low, high = sorted((leader(one), leader(other)))
        leaders[high] = low
    for row in np.unique(second).tolist():
        leaders[row] = leader(row)
    return np.array(leaders, dtype=np.int64)
