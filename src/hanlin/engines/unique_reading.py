"""Reads a document along as it is written: which lists must not repeat an item, and whether one did. Knows JSON, and no tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hanlin.engines.schema_negation import text_of
from hanlin.types import JsonObject, JsonValue

SPACE = b" \n\r\t"
_WORDS = (b"true", b"false", b"null")


class Spots:
    """Which lists of a document must not repeat an item, by a schema as `json_schemas` says it anew."""

    def __init__(self, root: JsonObject) -> None:
        defined = root.get("$defs")
        self.root, self._defined = root, defined if isinstance(defined, dict) else {}

    @property
    def whole(self) -> tuple[JsonObject, ...]:
        """The schemas that judge a document."""
        return self._judges([self.root])

    def of_item(self, judges: Sequence[JsonObject], place: int) -> tuple[JsonObject, ...]:
        """Those that judge an item of a list that `judges` judge."""
        found: list[JsonValue] = []
        for schema in judges:
            first = schema.get("prefixItems")
            is_first = isinstance(first, list) and place < len(first)
            found.append(first[place] if is_first and isinstance(first, list) else schema.get("items"))
        return self._judges(found)

    def of_property(self, judges: Sequence[JsonObject], name: str) -> tuple[JsonObject, ...]:
        """Those that may judge a property."""
        found: list[JsonValue] = []
        for schema in judges:
            named, patterns = schema.get("properties"), schema.get("patternProperties")
            is_named = isinstance(named, dict) and name in named
            found.append(named[name] if is_named and isinstance(named, dict) else schema.get("additionalProperties"))
            found += patterns.values() if isinstance(patterns, dict) else []
        return self._judges(found)

    def _judges(self, schemas: Sequence[JsonValue]) -> tuple[JsonObject, ...]:
        found: dict[int, JsonObject] = {}
        left = [*schemas]
        while left:
            schema = left.pop()
            if not isinstance(schema, dict) or id(schema) in found:
                continue
            found[id(schema)] = schema
            for key in ("allOf", "anyOf"):
                left += inner if isinstance(inner := schema.get(key), list) else []
            if isinstance(reference := schema.get("$ref"), str):
                left.append(self._defined.get(reference.removeprefix("#/$defs/")))
        return tuple(found.values())


def without_unique(schema: JsonObject) -> JsonObject:
    """The schema without what is kept to here."""
    found: JsonObject = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties", "$defs") and isinstance(value, dict):
            found[key] = {name: without_unique(each) if isinstance(each, dict) else each for name, each in value.items()}
        elif isinstance(value, list) and key in ("allOf", "anyOf", "prefixItems"):
            found[key] = [without_unique(each) if isinstance(each, dict) else each for each in value]
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            found[key] = without_unique(value)
        elif key != "uniqueItems":
            found[key] = value
    return found


@dataclass(frozen=True, slots=True)
class Open:
    """A list or an object that is being written.

    Attributes:
        begun: where in the text its newest item begins, for a list whose items differ; None: none has begun.
        used: what its items say; `raw`: how they were written.
    """

    is_list: bool
    judges: tuple[JsonObject, ...]
    differs: bool = False
    place: int = 0
    name: str | None = None
    begun: int | None = None
    used: frozenset[str] = frozenset()
    raw: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Reader:
    """Reads a document along, byte by byte; what it reads is JSON.

    Attributes:
        repeats: whether an item came twice.
        crosses: whether an item of a list whose items differ has begun in the bytes that were read last, behind another.
    """

    spots: Spots
    text: bytearray = field(default_factory=bytearray)
    open: list[Open] = field(default_factory=list)
    quote: int | None = None
    escaped: bool = False
    scalar: int | None = None
    repeats: bool = False
    crosses: bool = False

    @property
    def watches(self) -> bool:
        """Whether an item may be repeated here."""
        return any(each.differs and each.used for each in self.open)

    def after(self, more: bytes) -> Reader:
        """A reader that has read further; this one stays."""
        found = replace(self, text=bytearray(self.text), open=[*self.open], crosses=False)
        found.read(more)
        return found

    def read(self, more: bytes) -> None:
        """Read further."""
        for byte in more:
            self.text.append(byte)
            if self.quote is None:
                self._outside(byte)
            elif self.escaped:
                self.escaped = False
            elif byte == 0x5C:
                self.escaped = True
            elif byte == 0x22:
                self._end_text()

    def forget(self) -> None:
        """Let go of the text that no item, name or value which is being written begins in."""
        begun = [each.begun for each in self.open] + [self.quote, self.scalar]
        if not (low := min((place for place in begun if place is not None), default=len(self.text))):
            return
        del self.text[:low]
        self.open = [each if each.begun is None else replace(each, begun=each.begun - low) for each in self.open]
        self.quote = None if self.quote is None else self.quote - low
        self.scalar = None if self.scalar is None else self.scalar - low

    def _outside(self, byte: int) -> None:
        if byte in SPACE or byte in b",]}:":
            self._end_scalar()
        if byte == 0x22:
            self._begin()
            self.quote = len(self.text) - 1
        elif byte in b"[{":
            self._begin()
            judges = self._judges()
            differs = byte == 0x5B and any(each.get("uniqueItems") is True for each in judges)
            self.open.append(Open(byte == 0x5B, judges, differs))
        elif byte in b"]}":
            self.open.pop()
            self._end()
        elif byte == 0x2C:
            top = self.open[-1]
            self.open[-1] = replace(top, place=top.place + 1, name=None, begun=None)
        elif byte not in SPACE and byte != 0x3A and self.scalar is None:
            self._begin()
            self.scalar = len(self.text) - 1
        if self.scalar is not None and bytes(self.text[self.scalar :]) in _WORDS:
            self._end_scalar()

    def _judges(self) -> tuple[JsonObject, ...]:
        if not self.open:
            return self.spots.whole
        top = self.open[-1]
        return self.spots.of_item(top.judges, top.place) if top.is_list else self.spots.of_property(top.judges, top.name or "")

    def _begin(self) -> None:
        if self.open and self.open[-1].differs and self.open[-1].begun is None:
            self.crosses = bool(self.open[-1].place)
            self.open[-1] = replace(self.open[-1], begun=len(self.text) - 1)

    def _end_text(self) -> None:
        assert self.quote is not None
        begun, self.quote = self.quote, None
        if self.open and not self.open[-1].is_list and self.open[-1].name is None:
            self.open[-1] = replace(self.open[-1], name=str(json.loads(self.text[begun:])))
        else:
            self._end()

    def _end_scalar(self) -> None:
        if self.scalar is not None:
            end = len(self.text) if bytes(self.text[self.scalar :]) in _WORDS else len(self.text) - 1
            self.scalar = None
            self._end(end)

    def _end(self, end: int | None = None) -> None:
        """A value has ended."""
        if not self.open or not self.open[-1].differs:
            return
        top = self.open[-1]
        raw = bytes(self.text[top.begun : end])
        said = text_of(json.loads(raw))
        self.repeats |= said in top.used
        self.open[-1] = replace(top, used=top.used | {said}, raw=(*top.raw, raw))
