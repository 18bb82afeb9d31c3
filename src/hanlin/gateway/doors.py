"""The register of all doors, asked by address. A protocol is one file with its `DOORS`; it is entered here."""

from __future__ import annotations

from collections.abc import Sequence

from hanlin.gateway import hf_door, inference, moderation_door, openai_door, rerank_door, tei_door
from hanlin.gateway.door import NAME, Door
from hanlin.settings import Settings

ALL: tuple[Door, ...] = (
    *inference.DOORS, *hf_door.DOORS, *openai_door.DOORS, *moderation_door.DOORS, *rerank_door.DOORS, *tei_door.DOORS,
)  # fmt: skip


def configured(settings: Settings) -> tuple[Door, ...]:
    """All doors, with those in the operator's setting that have one."""
    own = {door.path: door for door in moderation_door.doors(settings)}
    return tuple(own.get(door.path, door) for door in ALL)


class Doors:
    """Finds the door at an address, and the endpoint that the address names."""

    def __init__(self, doors: Sequence[Door] = ALL) -> None:
        self._exact = {door.path: door for door in doors if not door.is_named}
        named = [(*door.path.partition(NAME)[::2], door) for door in doors if door.is_named]
        self._named = sorted(named, key=lambda item: -len(item[1]))  # /a/{endpoint}/b before /a/{endpoint}
        self.roots = {"/" + door.path.split("/")[1] + "/" for door in doors}

    def find(self, path: str) -> tuple[Door, str] | None:
        """The door at `path` with the endpoint's name, empty where the body names it; None where there is no door."""
        if (door := self._exact.get(path)) is not None:
            return door, ""
        for head, tail, door in self._named:
            if path.startswith(head) and path.endswith(tail) and len(path) >= len(head) + len(tail):
                return door, path[len(head) : len(path) - len(tail)]
        return None
