"""The register of all doors, asked by address. A protocol is one file with its `DOORS`; it is entered here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from hanlin.gateway import (
    chat_door,
    completions_door,
    hf_door,
    inference,
    messages_door,
    moderation_door,
    oip_door,
    openai_door,
    rerank_door,
    responses_door,
    tei_door,
)
from hanlin.gateway.door import NAME, VERSION, Door
from hanlin.settings import Settings

ALL: tuple[Door, ...] = (
    *inference.DOORS, *hf_door.DOORS, *openai_door.DOORS, *completions_door.DOORS, *chat_door.DOORS,
    *messages_door.DOORS, *responses_door.DOORS, *moderation_door.DOORS, *rerank_door.DOORS,
    *tei_door.DOORS, *oip_door.DOORS,
)  # fmt: skip


def configured(settings: Settings) -> tuple[Door, ...]:
    """All doors, with those in the operator's setting that have one."""
    own = {door.path: door for door in moderation_door.doors(settings)}
    return tuple(own.get(door.path, door) for door in ALL)


class Found(NamedTuple):
    """A door, and the endpoint that the address names, empty where the body does; the version, where the address names that too."""

    door: Door
    endpoint: str = ""
    version: str = ""


class Doors:
    """Finds the door at an address, and the endpoint that the address names."""

    def __init__(self, doors: Sequence[Door] = ALL) -> None:
        self._exact = {door.path: Found(door) for door in doors if not door.is_named}
        self._aliases = [(_pattern(door.alias), door) for door in doors if door.alias]
        named = [(*door.path.partition(NAME)[::2], door) for door in doors if door.is_named]
        self._named = sorted(named, key=lambda item: -len(item[1]))  # /a/{endpoint}/b before /a/{endpoint}
        self.roots = {"/" + door.path.split("/")[1] + "/" for door in doors}

    def find(self, path: str) -> Found | None:
        """The door at `path`; None where there is none."""
        if (known := self._exact.get(path)) is not None:
            return known
        for pattern, door in self._aliases:
            if (match := pattern.fullmatch(path)) is not None:
                return Found(door, *match.groups())
        for head, tail, door in self._named:
            if path.startswith(head) and path.endswith(tail) and len(path) >= len(head) + len(tail):
                return Found(door, path[len(head) : len(path) - len(tail)])
        return None


def _pattern(alias: str) -> re.Pattern[str]:
    return re.compile(re.escape(alias).replace(re.escape(NAME), "([^/]+)").replace(re.escape(VERSION), "([^/]+)"))
