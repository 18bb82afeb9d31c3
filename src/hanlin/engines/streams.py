"""How the threads of a model are shared out among its steps, for engines that let one choose. Imports no engine library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from hanlin.engines.base import ENGINES, Session, check_writes, load_variant, split_variant
from hanlin.types import Pinning


@dataclass(frozen=True, slots=True)
class Streams:
    """What one may choose.

    Attributes:
        count: steps of a model side by side, each with its share of the threads; 0: one a thread.
        pinning: whether threads are bound to cores.
    """

    count: int = 0
    pinning: Pinning = "auto"

    def among(self, threads: int) -> int:
        """How many there are of a model with so many threads: none goes without one."""
        return min(self.count or threads, threads)

    def is_pinned(self, threads: int, cores: int) -> bool:
        """Left open, only a model with all cores is bound to them: each of several would be bound to the same first ones."""
        return self.pinning == "on" or (self.pinning == "auto" and threads >= cores)


AUTO = Streams()


@runtime_checkable
class StreamsEngine(Protocol):
    """An engine that lets one choose streams and pinning."""

    def load_streams(self, folder: Path, precision: str, *, threads: int, streams: Streams) -> Session:
        """As `Engine.load`, which is this one with `AUTO`."""
        ...


def load_with_streams(folder: Path, variant: str, *, threads: int, streams: Streams) -> Session:
    """As `load_variant`; engines without the notion load as they always do."""
    name, precision = split_variant(variant)
    engine = ENGINES.get(name)
    if not isinstance(engine, StreamsEngine):
        return load_variant(folder, variant, threads=threads)
    check_writes(folder, variant)
    return engine.load_streams(folder, precision, threads=threads, streams=streams)
