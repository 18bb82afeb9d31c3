"""Raw text larger than memory: its token ids in a file on disk, cut into blocks that are read in a shuffled order.

    texts → token ids, a few hundred texts at a time → one long row on disk → blocks of one length → batches, shuffled by a seed

Memory holds the texts of one chunk and the blocks of one batch, whatever the size of the text. Knows no network and no objective.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from hanlin.storage.failures import disk_errors

CHUNK = 256  # texts that are tokenised together
_ROUNDS = 4  # of the shuffle; three make a pseudorandom permutation, four a strong one (Luby and Rackoff, 1988)

Ids = npt.NDArray[np.int32]
Encode = Callable[[list[str]], Iterable[Sequence[int]]]  # texts → the ids of each, without what frames a row


class TokenFile:
    """Numbers of 32 bits, one behind the other, in a file without a name: it is gone with its process, however that ends."""

    def __init__(self, folder: Path) -> None:
        self._descriptor, name = tempfile.mkstemp(dir=folder)
        Path(name).unlink()
        weakref.finalize(self, os.close, self._descriptor)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, ids: Iterable[int]) -> None:
        """Append; readers see it at once. Raises NotReady (`storage_full`)."""
        row = array("i", ids)
        rest = memoryview(row).cast("B")
        with disk_errors():
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        self._length += len(row)

    def read(self, start: int, end: int) -> Ids:
        """The numbers from `start` up to `end`; fewer where the file ends."""
        return np.frombuffer(os.pread(self._descriptor, 4 * (end - start), 4 * start), dtype=np.int32)


def write_tokens(
    texts: Iterable[str], encode: Encode, folder: Path, *, end: Sequence[int] = (), check: Callable[[], None] = lambda: None
) -> TokenFile:
    """The ids of all texts in one row, each text followed by `end`. `check` is called now and then; raising out of it ends the work."""
    tokens, rest = TokenFile(folder), iter(texts)
    while chunk := list(islice(rest, CHUNK)):
        check()
        tokens.add(token for row in encode(chunk) for token in (*row, *end))
    return tokens


@dataclass(frozen=True, slots=True)
class Blocks:
    """A token file as blocks of `length` tokens, each beginning `step` tokens behind the one before; the last may be shorter.

    Args:
        step: `length` where None; `length - 1` lets every token but the first be a target once, for networks that say what comes next.
    """

    tokens: TokenFile
    length: int
    step: int | None = None

    def __len__(self) -> int:
        step = self.step or self.length
        return max(1, -(-(len(self.tokens) - (self.length - step)) // step)) if len(self.tokens) else 0

    def row(self, number: int) -> Ids:
        """The ids of a block."""
        start = number * (self.step or self.length)
        return self.tokens.read(start, start + self.length)


def shuffled(place: int, count: int, key: str) -> int:
    """Which of `count` things stands at `place` when they are shuffled by `key`: no list is made, however many there are.

    Source: a Feistel network over the least even number of bits that holds `count`, walked until it lands inside (Black and Rogaway,
    Ciphers with Arbitrary Finite Domains, 2002, section 5).
    """
    half = max(1, ((count - 1).bit_length() + 1) // 2)
    low = (1 << half) - 1
    salt = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")
    while True:
        left, right = place >> half, place & low
        for number in range(_ROUNDS):
            left, right = right, left ^ (_mix(right + (number << half) ^ salt) & low)
        place = left << half | right
        if place < count:
            return place


def _mix(value: int) -> int:
    """Source: the mixing function of SplitMix64 (Steele, Lea, Flood, 2014)."""
    value = value * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    value = (value ^ value >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return value ^ value >> 31


@dataclass(frozen=True, slots=True)
class Batches(Sequence[list[int]]):
    """The batches of an epoch over `rows` rows of one length: numbers of rows, each row once, made when they are asked for."""

    rows: int
    size: int
    key: str

    def __len__(self) -> int:
        return math.ceil(self.rows / self.size)

    @overload
    def __getitem__(self, number: int) -> list[int]: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[list[int]]: ...

    def __getitem__(self, number: int | slice) -> list[int] | Sequence[list[int]]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        return [shuffled(place, self.rows, self.key) for place in range(number * self.size, min((number + 1) * self.size, self.rows))]


def epoch_batches(count: int, *, length: int, seed: int, epoch: int, batch_tokens: int, batch_size: int) -> Batches:
    """What `plan_epoch` is for rows of one length: the batches of an epoch, in constant memory."""
    return Batches(count, max(1, min(batch_size, batch_tokens // length)), f"{seed}/{epoch}")


@dataclass(frozen=True, slots=True)
class SameLength(Sequence[int]):
    """`times` times the same number: the lengths of blocks."""

    length: int
    times: int

    def __len__(self) -> int:
        return self.times

    @overload
    def __getitem__(self, number: int) -> int: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[int]: ...

    def __getitem__(self, number: int | slice) -> int | Sequence[int]:
        if isinstance(number, slice):
            return SameLength(self.length, len(range(*number.indices(self.times))))
        if not -self.times <= number < self.times:
            raise IndexError(number)
        return self.length

    def __iter__(self) -> Iterator[int]:
        return (self.length for _ in range(self.times))
