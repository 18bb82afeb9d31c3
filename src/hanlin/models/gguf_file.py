"""Files of llama.cpp's (GGUF): what they say of themselves and their tensors, widened to fp32. Knows no architecture.

Layout, little-endian. Source: docs/gguf.md of the ggml project, version 3; blocks as `ggml-common.h` has them:

    0   magic "GGUF", u32 version, u64 number of tensors, u64 number of values
    24  per value: name (u64 length, UTF-8), u32 type, the value; an array is u32 type of its items, u64 length, items
    …   per tensor: name, u32 number of sizes, u64 each, the fastest first, u32 kind, u64 offset
    …   filled up to `general.alignment` (32), then the tensors
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hanlin.errors import InvalidInput

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_BLOCK = 32
_KINDS: dict[int, np.dtype[Any]] = {
    0: np.dtype("<f4"),
    1: np.dtype("<f2"),
    3: np.dtype([("scale", "<f2"), ("least", "<f2"), ("nibbles", "u1", 16)]),  # Q4_1: least + scale * half byte
    8: np.dtype([("scale", "<f2"), ("values", "i1", _BLOCK)]),  # Q8_0
}
_Q4, _Q8 = 3, 8
MAX_ITEMS = 2**24


@dataclass(frozen=True, slots=True)
class _Place:
    shape: tuple[int, ...]
    kind: int
    offset: int


class GgufFile:
    """An open file.

    Attributes:
        values: what it says, by name.

    Raises:
        InvalidInput: `invalid_model_file`.
    """

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._data = path.read_bytes()
        self._at = 4
        try:
            version, tensors, values = (self._number(form) for form in "IQQ")
            if self._data[:4] != b"GGUF" or version != 3 or tensors > MAX_ITEMS or values > MAX_ITEMS:
                raise ValueError("head")
            self.values: dict[str, object] = {self._text(): self._value(self._number("I")) for _ in range(values)}
            self._places = {self._text(): self._place() for _ in range(tensors)}
        except (struct.error, ValueError, KeyError, RecursionError, OverflowError) as error:
            raise self._wrong("its head") from error
        alignment = self.values.get("general.alignment", 32)
        self._begin = -(-self._at // alignment) * alignment if isinstance(alignment, int) and alignment > 0 else self._at

    def tensor(self, name: str) -> Tensor:
        """One of them, fp32, the slowest size first. Raises InvalidInput (`invalid_model_file`)."""
        if (place := self._places.get(name)) is None:
            raise self._wrong(f"no {name}")
        count, kind = math.prod(place.shape), _KINDS.get(place.kind)
        if kind is None:
            raise self._wrong(f"{name} of kind {place.kind}")
        is_packed = place.kind in (_Q4, _Q8)
        items = count // _BLOCK if is_packed else count
        begin = self._begin + place.offset
        if begin + items * kind.itemsize > len(self._data) or (is_packed and place.shape[-1] % _BLOCK):
            raise self._wrong(f"{name} is cut off")
        blocks = np.frombuffer(self._data, kind, items, begin)
        return torch.from_numpy(_widened(blocks, place.kind).reshape(place.shape))

    def _number(self, form: str) -> int:
        found: int = struct.unpack_from(f"<{form}", self._data, self._at)[0]  # or a float, or a bool
        self._at += struct.calcsize(f"<{form}")
        return found

    def _text(self) -> str:
        length, begin = self._number("Q"), self._at
        if length > len(self._data) - begin:
            raise ValueError("text")
        self._at = begin + length
        return self._data[begin : self._at].decode("utf-8")

    def _value(self, kind: int) -> object:
        if kind == _TEXT:
            return self._text()
        if kind != _ARRAY:
            return self._number(_NUMBERS[kind])
        items, length = self._number("I"), self._number("Q")
        if length > MAX_ITEMS:
            raise ValueError("array")
        return [self._value(items) for _ in range(length)]

    def _place(self) -> _Place:
        count = self._number("I")
        if not 1 <= count <= 4:
            raise ValueError("sizes")
        sizes = [self._number("Q") for _ in range(count)]
        if 0 in sizes:
            raise ValueError("sizes")
        return _Place(tuple(reversed(sizes)), self._number("I"), self._number("Q"))

    def _wrong(self, problem: str) -> InvalidInput:
        return InvalidInput("invalid_model_file", file=self._name, problem=problem)


def _widened(blocks: npt.NDArray[Any], kind: int) -> npt.NDArray[np.float32]:
    """fp32 in the order of the file."""
    if kind == _Q4:
        halves = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)  # (blocks, 32)
        values, least = halves.astype(np.float32), blocks["least"].astype(np.float32)[:, None]
    elif kind == _Q8:
        values, least = blocks["values"].astype(np.float32), np.zeros((1, 1), np.float32)
    else:
        return np.asarray(blocks, dtype=np.float32).copy()
    return np.asarray(values * blocks["scale"].astype(np.float32)[:, None] + least)
