"""The header of a safetensors file, checked byte by byte before any library opens it.

Layout: 8 bytes little-endian length N, N bytes of JSON, then the tensors. Source: safetensors format description. We are stricter in two
bounds: at most 8 MiB of header and 20,000 tensors, because larger ones cost seconds to open and no encoder has them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from hanlin.errors import InvalidInput
from hanlin.types import shorten

MAX_HEADER_BYTES = 8 * 2**20
MAX_TENSORS = 20_000
_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of the header."""

    dtype: str
    shape: tuple[int, ...]


def read_header(path: Path) -> dict[str, Tensor]:
    """Names, types and shapes of the tensors in `path`. Raises InvalidInput (`invalid_model_file`) unless the file is whole and plain."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = int.from_bytes(prefix, "little")
        _check(len(prefix) == 8 and 2 <= length <= size_bytes - 8, path, "its header does not fit into it")
        _check(length <= MAX_HEADER_BYTES, path, f"its header is longer than {MAX_HEADER_BYTES:,} bytes")
        raw = file.read(length)
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _problem(path, "its header is not plain JSON") from error
    _check(isinstance(header, dict), path, "its header is not an object")
    header.pop("__metadata__", None)
    _check(0 < len(header) <= MAX_TENSORS, path, f"it has {len(header):,} tensors, where 1 to {MAX_TENSORS:,} are allowed")
    spans: list[tuple[int, int]] = []
    tensors: dict[str, Tensor] = {}
    for name, entry in header.items():
        tensors[name], span = _entry(path, name, entry)
        spans.append(span)
    end = 0
    for begin, finish in sorted(spans):  # side by side, nothing between, before or after
        _check(begin == end, path, "its tensors overlap or leave gaps")
        end = finish
    _check(end == size_bytes - 8 - length, path, "its length is not what its header says")
    return tensors


def _entry(path: Path, name: str, entry: object) -> tuple[Tensor, tuple[int, int]]:
    _check(isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}, path, f"tensor {shorten(name)} is not described")
    assert isinstance(entry, dict)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    _check(dtype in _SIZES if isinstance(dtype, str) else False, path, f"tensor {shorten(name)} has an unknown type")
    _check(
        _is_counts(shape) and len(shape) <= 8 and _is_counts(offsets) and len(offsets) == 2,
        path,
        f"tensor {shorten(name)} has a wrong shape",
    )
    begin, finish = offsets
    _check(finish - begin == math.prod(shape) * _SIZES[dtype], path, f"tensor {shorten(name)} has another size than its shape")
    return Tensor(dtype, tuple(shape)), (begin, finish)


def _is_counts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, int) and not isinstance(item, bool) and 0 <= item < 2**48 for item in value)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name twice")
    return found


def _check(is_right: bool, path: Path, problem: str) -> None:
    if not is_right:
        raise _problem(path, problem)


def _problem(path: Path, problem: str) -> InvalidInput:
    return InvalidInput("invalid_model_file", file=path.name, problem=problem)
