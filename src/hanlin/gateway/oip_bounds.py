"""How many tensors, values and numbers of a shape one call may have: binary forms and gRPC pack millions of them into a small body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hanlin.errors import InvalidInput

MAX_TENSORS = 16
MAX_RANK = 8
MAX_ROWS = 120_000  # each becomes an object of Python's, some 100 ms at worst; JSON may hold as many
MAX_NUMBERS = 2**20
MAX_FIELDS = 1024
_NESTED = (5, 6)  # fields of an infer message that are messages with fields of their own: inputs, outputs


class _Named(Protocol):
    @property
    def name(self) -> str: ...


def check_length(name: str, count: int, *, limit: int = MAX_ROWS) -> None:
    """Raises InvalidInput (`tensor_too_long`)."""
    if count > limit:
        raise InvalidInput("tensor_too_long", name=name, count=count, limit=limit)


def check_tensors(tensors: Sequence[object], side: str) -> None:
    """Raises InvalidInput (`invalid_parameter`) for more tensors than any task has."""
    if len(tensors) > MAX_TENSORS:
        raise InvalidInput("invalid_parameter", name=side, expected=f"at most {MAX_TENSORS} tensors", found=str(len(tensors)))


def check_outputs(tensors: Sequence[_Named]) -> None:
    """Raises InvalidInput (`invalid_parameter`) for more of them than any task has, or two of a name: they would multiply the answer."""
    check_tensors(tensors, "outputs")
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise output_twice()


def output_twice() -> InvalidInput:
    """What a call gets that asks for an output twice."""
    return InvalidInput("invalid_parameter", name="outputs", expected="each name once", found="one twice")


def check_fields(raw: bytes) -> None:
    """Raises InvalidInput (`invalid_parameter`) for a protobuf message of more fields than any call has, tensors' own included.

    An empty tensor takes two bytes of a message and a hundred when it is parsed. What is no protobuf is left to the parser.
    Source: protobuf.dev, "Encoding".
    """
    count = 0
    parts = [(0, len(raw), True)]
    while parts:
        place, end, is_whole = parts.pop()
        while 0 <= place < end:
            count += 1
            if count > MAX_FIELDS:
                raise InvalidInput("invalid_parameter", name="message", expected=f"at most {MAX_FIELDS} fields", found="more")
            tag, place = _varint(raw, place, end)
            start, place = _value(raw, tag & 7, place, end)
            if is_whole and tag >> 3 in _NESTED and tag & 7 == 2 and place >= 0:
                parts.append((start, place, False))


def _value(raw: bytes, kind: int, place: int, end: int) -> tuple[int, int]:
    """Where the value of a field begins and ends; the end is -1 where there is none."""
    if kind == 0:
        return place, _varint(raw, place, end)[1]
    if kind == 2:
        size, place = _varint(raw, place, end)
        return place, place + size if place + size <= end else -1
    size = {1: 8, 5: 4}.get(kind, -1)
    return place, place + size if size > 0 else -1


def _varint(raw: bytes, place: int, end: int) -> tuple[int, int]:
    """The number that begins at `place`, and where it ends; -1 where it does not."""
    value = 0
    for count, byte in enumerate(raw[place : min(place + 10, end)] if place >= 0 else b""):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, place + count + 1
    return 0, -1
