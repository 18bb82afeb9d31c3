"""How many tensors, values and numbers of a shape one call may have: binary forms and gRPC pack millions of them into a small body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hanlin.errors import InvalidInput

MAX_TENSORS = 16
MAX_RANK = 8
MAX_ROWS = 120_000  # each becomes an object of Python's, some 100 ms at worst; JSON may hold as many
MAX_NUMBERS = 2**20


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
        raise InvalidInput("invalid_parameter", name="outputs", expected="each name once", found="one twice")
