"""The query of an address, as strict as a body: what it does not take is refused by name, never passed over."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl

from hanlin.errors import InvalidInput
from hanlin.types import nearest, shorten


def check_query(query: bytes, known: Collection[str]) -> None:
    """Raises InvalidInput for a parameter that is not `known` (`unknown_query`, `no_query`) or is said twice (`duplicate_query`)."""
    seen: set[str] = set()
    for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name in seen:
            raise InvalidInput("duplicate_query", name=shorten(name))
        if not known:
            raise InvalidInput("no_query", name=shorten(name))
        if name not in known:
            raise InvalidInput("unknown_query", name=shorten(name), near=nearest(name, known), choices=", ".join(sorted(known)))
        seen.add(name)
