"""Bases that several adapters share: the contract of their sessions. Imports no engine library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from hanlin.engines.base import ENGINES, Floats, Ids, Session, StreamingSession, load_failed, split_variant


@dataclass(frozen=True, slots=True)
class Seat:
    """An adapter's place in a shared session.

    Attributes:
        number: names it in a step.
        kind: only rows of one kind share a step.
        output: name of the array that it answers with.
        width: how many of the array's last numbers are its own.
        has_types: whether its rows come with token types.
    """

    number: int
    kind: int
    output: str
    width: int
    has_types: bool


class Shared(Session, Protocol):
    """A base under many adapters. `take` and `leave` may be called from one thread while others compute."""

    def take(self, folder: Path) -> Seat:
        """Take in the adapter of an artifact folder that stands on this base.

        Raises:
            InvalidInput: `weights_do_not_fit`, `adapter_not_shared`.
        """
        ...

    def leave(self, number: int) -> None:
        """Let an adapter go. No step names it any more."""
        ...


class SharedSession(Shared, Protocol):
    """A base that reads, under many adapters."""

    def run_rows(
        self, numbers: Sequence[int], input_ids: Ids, attention_mask: Ids, token_type_ids: Ids | None = None, *, with_tokens: bool = False
    ) -> Mapping[str, Floats]:
        """As `Session.run`, each row by the adapter of its number; what lies beyond an adapter's width means nothing.

        Raises:
            EngineFailed: `engine_step_failed`; the whole batch is lost, the session may be used again.
        """
        ...


class SharedWriter(Shared, StreamingSession, Protocol):
    """A base that writes, under many adapters: each row by the one that its settings name, the base itself where they name none.

    `generate` may be called on the thread of `take` as well, for rows of the adapter that has just come. Rows of an adapter that has left
    end with an error, if any are open.
    """


@runtime_checkable
class SharingEngine(Protocol):
    """An engine that loads bases for many adapters."""

    def load_shared(self, folder: Path, precision: str, *, threads: int) -> SharedSession | SharedWriter:
        """The base of the adapter in an artifact folder, without the adapter. Raises as `Engine.load`."""
        ...


def can_share(variant: str) -> bool:
    """Whether adapters may share a base in this variant. Raises InvalidInput (`unknown_variant`)."""
    name, precision = split_variant(variant)
    return isinstance(ENGINES.get(name), SharingEngine) and precision in ("fp32", "bf16")


def load_shared(folder: Path, variant: str, *, threads: int) -> SharedSession | SharedWriter:
    """The base of the adapter in `folder`. Raises as `Engine.load`."""
    name, precision = split_variant(variant)
    engine = ENGINES.get(name)
    if not isinstance(engine, SharingEngine):
        raise load_failed(variant, "its engine loads no adapters")
    return engine.load_shared(folder, precision, threads=threads)
