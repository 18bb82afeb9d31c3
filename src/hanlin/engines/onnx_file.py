"""Reads just enough of an ONNX file's protobuf to refuse external data and to find what compression noted; needs no onnx package.

External data lets a model name other files (`../x`, absolute paths, links), which has been a hole four times; ours are
single files under 2 GB, so any mention of it is refused.
Source: onnx.proto field numbers (ModelProto.graph 7, metadata_props 14, functions 25;
StringStringEntryProto.key 1, value 2; GraphProto.node 1, initializer 5, sparse_initializer 15;
NodeProto.attribute 5; FunctionProto.node 7; AttributeProto.t 5, g 6, tensors 10, graphs 11, sparse_tensor 22, sparse_tensors 23;
SparseTensorProto.values 1, indices 2; TensorProto.external_data 13, data_location 14).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from hanlin.engines.base import load_failed
from hanlin.errors import InvalidInput

MAX_BYTES = 2**31 - 1  # protobuf's own limit
MAX_DEPTH = 64

_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_METADATA, _KEY, _VALUE = 14, 1, 2
MAX_THREADS = "hanlin_max_threads"  # the note's name


def refuse_external_data(path: Path) -> None:
    """Raises InvalidInput (`external_data_refused`), or EngineFailed when the file is no protobuf or too large."""
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise load_failed("onnxruntime", "model.onnx is empty or larger than 2 GB")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            found = _mentions_external(data, 0, size, "model", 0)
        except (IndexError, ValueError, RecursionError) as error:
            raise load_failed("onnxruntime", "model.onnx is damaged or not a valid model", details=str(error)) from error
    if found:
        raise InvalidInput("external_data_refused", name=path.name)


def max_threads(path: Path) -> int | None:
    """The most threads that help this model, where compression noted it. The file must have passed `refuse_external_data`."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for field, _, start, end in _fields(data, 0, len(data)):
            if field == _METADATA:
                entry = {name: data[a:b] for name, _, a, b in _fields(data, start, end)}
                if entry.get(_KEY) == MAX_THREADS.encode() and (noted := entry.get(_VALUE, b"")).isdigit():
                    return max(1, int(noted))
    return None


def _mentions_external(data: mmap.mmap, start: int, end: int, kind: str, depth: int) -> bool:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    for field, value, a, b in _fields(data, start, end):
        if kind == "tensor" and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value != 0)):
            return True
        child = _CHILDREN[kind].get(field)
        if child and b > a and _mentions_external(data, a, b, child, depth + 1):
            return True
    return False


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields (field, varint value, start, end of bytes value) of one message."""
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        wire, value, a, b = tag & 7, 0, at, at
        if wire == 0:
            value, at = _varint(data, at, end)
        elif wire == 1:
            at += 8
        elif wire == 5:
            at += 4
        elif wire == 2:
            length, a = _varint(data, at, end)
            b = at = a + length
        else:
            raise ValueError(f"wire type {wire}")
        if at > end:
            raise ValueError("runs past its end")
        yield tag >> 3, value, a, b


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise ValueError("cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("number too long")
