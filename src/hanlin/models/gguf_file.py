"""Files of llama.cpp's (GGUF): what they say of themselves, and their tensors, widened piece by piece. Knows no architecture.

A stranger's file: everything that it counts is bounded, held against the file's own length and refused when it overlaps, before anything
is made of it. Layout, little-endian. Source: docs/gguf.md of the ggml project, versions 2 and 3, which differ in byte order alone:

    0   magic "GGUF", u32 version, u64 number of tensors, u64 number of values
    24  per value: name (u64 length, UTF-8), u32 type, the value; an array is u32 type of its items, u64 length, items
    …   per tensor: name, u32 number of sizes, u64 each, the fastest first, u32 kind, u64 offset
    …   filled up to `general.alignment` (32), then the tensors, each at a multiple of it

What a kind of block means is the package `gguf`'s to know.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hanlin.errors import InvalidInput
from hanlin.types import shorten

Array = npt.NDArray[Any]
Value = str | int | float | bool | list[str] | Array
Stored = str  # "F32", "F16" or "BF16": how a tensor's numbers are handed on

MAX_FILE_BYTES = 64 * 2**30
MAX_TENSORS, MAX_VALUES = 20_000, 4096
MAX_ITEMS = 2**22  # of one array: vocabularies have up to 300,000 tokens, and twice as many merges
MAX_HEAD_BYTES = 256 * 2**20
MAX_NAME_BYTES, MAX_TOKEN_BYTES, MAX_TEXT_BYTES = 256, 1024, 2**20
MAX_SIZES, MAX_SIZE = 4, 2**32
PIECE_NUMBERS = 2**24
_NUMBERS = {
    0: ("<B", "<u1"), 1: ("<b", "<i1"), 2: ("<H", "<u2"), 3: ("<h", "<i2"), 4: ("<I", "<u4"), 5: ("<i", "<i4"), 6: ("<f", "<f4"),
    7: ("<?", "?"), 10: ("<Q", "<u8"), 11: ("<q", "<i8"), 12: ("<d", "<f8"),
}  # fmt: skip
_TEXT, _ARRAY = 8, 9
_AS_THEY_ARE = {0: ("F32", "<f4"), 1: ("F16", "<f2"), 30: ("BF16", "<u2")}  # bfloat16 is halves of fp32 that numpy has no name for


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor of the file.

    Attributes:
        shape: the slowest size first.
        begin: of its bytes in the file.
        row_bytes: of one row, which is the fastest size.
        stored: how its numbers are handed on.
    """

    shape: tuple[int, ...]
    kind: int
    begin: int
    row_bytes: int
    stored: Stored

    @property
    def num_rows(self) -> int:
        """All sizes but the fastest, multiplied."""
        return math.prod(self.shape[:-1])


class GgufFile:
    """An open file.

    Attributes:
        name: of the file.
        values: what it says, by name.
        tensors: what it holds, by name.

    Raises:
        InvalidInput: `gguf_refused`, `missing_extra`.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._sizes = _block_sizes()
        if not 24 <= path.stat().st_size <= MAX_FILE_BYTES:
            raise self._wrong(f"shorter than a head, or longer than {MAX_FILE_BYTES:,} bytes")
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._at = 24
        self.values: dict[str, Value] = {}
        self.tensors: dict[str, Place] = {}
        try:
            self._read_head()
        except (struct.error, UnicodeDecodeError, OverflowError) as error:
            raise self._wrong("its head is cut off, or no text where one should be") from error

    def pieces(self, name: str) -> Iterator[Array]:
        """The tensor's rows from first to last, a few at a time: (rows, size) in its `stored` form, bfloat16 as its 16 bits.

        Raises:
            InvalidInput: `gguf_refused`, for blocks that are no numbers.
        """
        place = self.tensors[name]
        step = max(1, PIECE_NUMBERS // place.shape[-1])
        for first in range(0, place.num_rows, step):
            count = min(step, place.num_rows - first)
            begin = place.begin + first * place.row_bytes
            rows = np.frombuffer(self._data, np.uint8, count * place.row_bytes, begin).reshape(count, place.row_bytes)
            yield self._widened(rows, place, name)

    def whole(self, name: str) -> Array:
        """All of it at once, in its shape."""
        return np.concatenate(list(self.pieces(name))).reshape(self.tensors[name].shape)

    def _widened(self, rows: Array, place: Place, name: str) -> Array:
        if place.kind in _AS_THEY_ARE:
            return np.array(rows).view(_AS_THEY_ARE[place.kind][1])
        from gguf import GGMLQuantizationType, quants

        try:
            with np.errstate(all="ignore"):  # scales that are no numbers are told below
                found: Array = quants.dequantize(rows, GGMLQuantizationType(place.kind))
        except Exception as error:  # whatever it does to blocks that no writer has made
            raise self._wrong(f"{shorten(name)} of kind {place.kind}") from error
        return np.asarray(found, dtype="<f4")

    def _read_head(self) -> None:
        version, num_tensors, num_values = struct.unpack_from("<IQQ", self._data, 4)
        self._check(self._data[:4] == b"GGUF" and version in (2, 3), "no GGUF file of version 2 or 3, little-endian")
        self._check(num_tensors <= MAX_TENSORS and num_values <= MAX_VALUES, f"{num_tensors:,} tensors, {num_values:,} values")
        for _ in range(num_values):
            name = self._text(MAX_NAME_BYTES)
            self._check(name not in self.values, f"{shorten(name)} twice")
            self.values[name] = self._value(self._number(4), name)
        raw = [self._entry() for _ in range(num_tensors)]
        alignment = self.values.get("general.alignment", 32)
        self._check(type(alignment) is int and alignment % 8 == 0 and 8 <= alignment <= 65_536, f"alignment {alignment!s:.20}")
        self._place(raw, cast("int", alignment))

    def _entry(self) -> tuple[str, tuple[int, ...], int, int]:
        """Name, shape, kind, offset."""
        name = self._text(MAX_NAME_BYTES)
        count = self._number(4)
        self._check(1 <= count <= MAX_SIZES, f"{shorten(name)} with {count} sizes")
        sizes = tuple(self._number(10) for _ in range(count))
        return name, sizes[::-1], self._number(4), self._number(10)

    def _place(self, raw: list[tuple[str, tuple[int, ...], int, int]], alignment: int) -> None:
        """Each tensor in its own part of the file."""
        start = -(-self._at // alignment) * alignment
        for name, shape, kind, offset in raw:
            self._check(name not in self.tensors, f"{shorten(name)} twice")
            self._check(kind in self._sizes, f"{shorten(name)} of kind {kind}")
            block, block_bytes = self._sizes[kind]
            self._check(all(1 <= size <= MAX_SIZE for size in shape) and shape[-1] % block == 0, f"{shorten(name)} of sizes {shape}")
            row_bytes = shape[-1] // block * block_bytes
            place = Place(shape, kind, start + offset, row_bytes, _AS_THEY_ARE.get(kind, ("F32", ""))[0])
            end = place.begin + place.num_rows * row_bytes
            self._check(offset % alignment == 0 and end <= len(self._data), f"{shorten(name)} is not inside the file")
            self.tensors[name] = place
        end = 0
        for name, place in sorted(self.tensors.items(), key=lambda each: each[1].begin):
            self._check(place.begin >= end, f"{shorten(name)} lies over another tensor")
            end = place.begin + place.num_rows * place.row_bytes

    def _number(self, kind: int) -> Any:
        form = _NUMBERS[kind][0]
        found = struct.unpack_from(form, self._data, self._at)[0]
        self._at += struct.calcsize(form)
        self._check(self._at <= MAX_HEAD_BYTES, f"its head is longer than {MAX_HEAD_BYTES:,} bytes")
        return found

    def _text(self, most: int) -> str:
        length, begin = self._number(10), self._at
        self._check(length <= min(most, len(self._data) - begin), f"a text of {length:,} bytes")
        self._at = begin + length
        return self._data[begin : self._at].decode("utf-8")

    def _value(self, kind: int, name: str) -> Value:
        if kind == _TEXT:
            return self._text(MAX_TEXT_BYTES)
        if kind != _ARRAY:
            self._check(kind in _NUMBERS, f"{shorten(name)} of type {kind}")
            return cast("Value", self._number(kind))
        kind, length = self._number(4), self._number(10)
        self._check(length <= MAX_ITEMS and (kind == _TEXT or kind in _NUMBERS), f"{shorten(name)}: {length:,} items of type {kind}")
        if kind == _TEXT:
            return [self._text(MAX_TOKEN_BYTES) for _ in range(length)]
        form, begin = np.dtype(_NUMBERS[kind][1]), self._at
        self._at = begin + length * form.itemsize
        self._check(self._at <= min(len(self._data), MAX_HEAD_BYTES), f"{shorten(name)} is cut off")
        return np.frombuffer(self._data[begin : self._at], form)

    def _check(self, is_right: bool, problem: str) -> None:
        if not is_right:
            raise self._wrong(problem)

    def _wrong(self, problem: str) -> InvalidInput:
        return InvalidInput("gguf_refused", file=self.name, problem=problem)


def _block_sizes() -> dict[int, tuple[int, int]]:
    """Numbers and bytes of a block, by kind, of those that can be widened."""
    try:
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants
    except ModuleNotFoundError as error:
        raise InvalidInput("missing_extra", feature="GGUF files", extra="gguf", details=str(error)) from error
    known = {}
    for kind in GGMLQuantizationType:
        block, block_bytes = GGML_QUANT_SIZES[kind]
        if kind.value in _AS_THEY_ARE or _can_widen(quants, kind, block_bytes):
            known[kind.value] = (block, block_bytes)
    return known


def _can_widen(quants: Any, kind: Any, block_bytes: int) -> bool:
    """Whether `gguf` can widen a kind: it has no list of those, and raises for the others, which a file is refused for by name."""
    try:
        quants.dequantize(np.zeros((1, block_bytes), np.uint8), kind)
    except NotImplementedError:
        return False
    return True
