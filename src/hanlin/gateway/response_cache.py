"""Answers kept for calls that come again, word for word: off unless an endpoint says otherwise, never shared between teams.

One gateway's own. A key names the deployment, version and variant that answered, so a version switch starts with nothing kept, by
construction. Bounded in bytes over all teams: when there is no more room the team that holds most gives up what it used longest ago.
Knows no text: inputs are kept as digests.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import msgspec

from hanlin.serving.routes import EndpointRoute
from hanlin.types import JsonObject, JsonValue, TeamId

_ENTRY_BYTES = 500  # what an entry costs beside its answer
_LARGEST_SHARE = 4  # an answer larger than this part of the room is not kept
_canonical = msgspec.msgpack.Encoder(order="sorted")


class _Sized(Protocol):
    @property
    def body(self) -> bytes: ...


V = TypeVar("V", bound=_Sized)


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V
    size_bytes: int
    born_s: float


@dataclass(slots=True)
class _Shelf(Generic[V]):
    """What one team holds, the least recently used first."""

    entries: OrderedDict[bytes, _Entry[V]] = field(default_factory=OrderedDict)
    size_bytes: int = 0


@dataclass(slots=True)
class Lookups:
    """How often an endpoint's answers were found, and were not."""

    hits: int = 0
    misses: int = 0


class ResponseCache(Generic[V]):
    """Belongs to one event loop.

    Args:
        max_bytes: of all answers and their keys.
        clock: monotonic seconds.
    """

    def __init__(self, max_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._shelves: dict[TeamId, _Shelf[V]] = {}
        self.lookups: dict[str, Lookups] = {}  # by `team/endpoint`
        self.size_bytes = 0
        self.evictions_total = 0

    @property
    def num_entries(self) -> int:
        """Answers held."""
        return sum(len(shelf.entries) for shelf in self._shelves.values())

    def get(self, team: TeamId, key: bytes, *, ttl_s: int, endpoint: str) -> V | None:
        """The kept answer, unless it is older than `ttl_s`. Counts the lookup for `endpoint`."""
        lookups = self.lookups.setdefault(endpoint, Lookups())
        shelf = self._shelves.get(team)
        entry = shelf.entries.get(key) if shelf else None
        if shelf is not None and entry is not None:
            if self._clock() - entry.born_s < ttl_s:
                shelf.entries.move_to_end(key)
                lookups.hits += 1
                return entry.value
            self._drop(team, key)
        lookups.misses += 1
        return None

    def put(self, team: TeamId, key: bytes, value: V) -> None:
        """Keep an answer; one that is too large is not kept."""
        size_bytes = len(value.body) + _ENTRY_BYTES
        if size_bytes * _LARGEST_SHARE > self._max_bytes:
            return
        if (shelf := self._shelves.setdefault(team, _Shelf())).entries.get(key):
            self._drop(team, key)
            shelf = self._shelves.setdefault(team, _Shelf())
        shelf.entries[key] = _Entry(value, size_bytes, self._clock())
        shelf.size_bytes += size_bytes
        self.size_bytes += size_bytes
        while self.size_bytes > self._max_bytes:
            largest = max(self._shelves, key=lambda name: self._shelves[name].size_bytes)
            self._drop(largest, next(iter(self._shelves[largest].entries)))
            self.evictions_total += 1

    def _drop(self, team: TeamId, key: bytes) -> None:
        shelf = self._shelves[team]
        entry = shelf.entries.pop(key)
        shelf.size_bytes -= entry.size_bytes
        self.size_bytes -= entry.size_bytes
        if not shelf.entries:
            del self._shelves[team]


def cache_key(route: EndpointRoute, inputs: JsonValue, parameters: JsonObject) -> bytes:
    """Digest of who answers, how it treats long texts, and the call; the order of names within the call does not matter."""
    who = f"{route.deployment_id}\0{route.version}\0{route.variant}\0{route.long_text}\0".encode()
    return hashlib.sha256(who + _canonical.encode([inputs, parameters])).digest()
