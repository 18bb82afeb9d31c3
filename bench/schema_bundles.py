"""Puts schemas that another one names beside it, as bundlers do: a call brings one text, and nothing is looked up outside of it.

Source: JSON Schema 2020-12, core, 9.3 (bundling); drafts 4 to 7 have the same by `definitions` and `id`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from urllib.parse import urldefrag, urljoin

from hanlin.types import JsonObject, JsonValue

MAX_PARTS, MAX_BYTES = 20, 100_000


def bundled(schema: JsonValue, known: Mapping[str, JsonObject], draft: str) -> tuple[JsonValue, int]:
    """The schema with all that it names and that is known beside it, and how many that are; alone where that would be too long.

    Args:
        known: by their addresses.
    """
    if not isinstance(schema, dict):
        return schema, 0
    found: dict[str, JsonObject] = {}
    waiting = list(_named(schema, ""))
    while waiting and len(found) < MAX_PARTS:
        address = waiting.pop()
        for each in (address, f"{address}.json"):
            if each in known and address not in found and not _is_held(schema, address):
                key = "id" if _is_draft4(schema, draft) else "$id"
                part = {name: value for name, value in known[each].items() if name not in ("id", "$id")}
                found[address] = {key: address, **part}
                waiting += _named(found[address], address)
    if not found or len(json.dumps([schema, found])) > MAX_BYTES:
        return schema, 0
    keyword = "definitions" if _is_draft4(schema, draft) or draft == "draft7" or "draft-07" in str(schema.get("$schema")) else "$defs"
    own = schema.get(keyword)
    return {**schema, keyword: {**(own if isinstance(own, dict) else {}), **found}}, len(found)


def _is_draft4(schema: JsonObject, draft: str) -> bool:
    return "draft-04" in str(schema.get("$schema", draft)) or draft == "draft4"


def _is_held(schema: JsonObject, address: str) -> bool:
    return any(base.rstrip("#") == address for _, base in _places(schema, ""))


def _named(schema: JsonValue, base: str) -> Iterator[str]:
    """Addresses that references name, without what they name inside."""
    for place, where in _places(schema, base):
        reference = place.get("$ref")
        if isinstance(reference, str) and (address := urldefrag(urljoin(where, reference)).url) and address != where.rstrip("#"):
            yield address


def _places(schema: JsonValue, base: str) -> Iterator[tuple[JsonObject, str]]:
    if isinstance(schema, dict):
        own = schema.get("$id", schema.get("id"))
        base = urljoin(base, own) if isinstance(own, str) else base
        yield schema, base
        for value in schema.values():
            yield from _places(value, base)
    elif isinstance(schema, list):
        for value in schema:
            yield from _places(value, base)
