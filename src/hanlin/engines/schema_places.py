"""Where schemas stand in a schema, and what the references among them name.

Knows the keywords that hold schemas, `$id`, `$anchor` and JSON pointers; judges no document. Nothing outside the text is ever looked up.
Source: JSON Schema, drafts 4 to 2020-12; RFC 6901 for pointers.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote, urldefrag, urljoin

from hanlin.types import JsonObject, JsonValue

OF_NAMES = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
OF_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
OF_ONE = frozenset({
    "items", "additionalProperties", "additionalItems", "contains", "not", "if", "then", "else", "propertyNames", "unevaluatedProperties",
    "unevaluatedItems",
})  # fmt: skip
_OLD = ("draft-03", "draft-04", "draft-05", "draft-06", "draft-07")
MAX_CHAIN = 50  # references that name references


class RefusedSchema(ValueError):
    """What cannot be kept to, as a reason that may be shown: a keyword, and where it stands."""

    def __init__(self, keyword: str, path: str, why: str = "") -> None:
        super().__init__(f"{keyword} at {path or '/'}{f': {why}' if why else ''}")


def parts(schema: JsonObject) -> Iterator[tuple[str, JsonValue]]:
    """The schemas that stand directly in one, each with its place as a pointer."""
    for key, value in schema.items():
        if key in OF_NAMES and isinstance(value, dict):
            yield from ((f"/{key}/{name}", each) for name, each in value.items())
        elif (key in OF_LISTS or key == "items") and isinstance(value, list):
            yield from ((f"/{key}/{number}", each) for number, each in enumerate(value))
        elif key in OF_ONE:
            yield f"/{key}", value
        elif key == "dependencies" and isinstance(value, dict):
            yield from ((f"/{key}/{name}", each) for name, each in value.items() if not isinstance(each, list))


def is_old(schema: JsonObject) -> bool:
    """Whether it says that it is of a draft (up to 7) in which nothing stands beside a reference."""
    named = schema.get("$schema")
    return isinstance(named, str) and any(draft in named for draft in _OLD)


class References:
    """Finds what references of one schema name."""

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._named: dict[str, JsonValue] = {"": root}
        self._bases: dict[int, str] = {}
        self._anchors: dict[str, int] = {}
        self._index(root, "")

    def target(self, schema: JsonObject, path: str) -> JsonValue:
        """What `$ref` (or its dynamic kin) of a schema names. Raises RefusedSchema for what is not in the text."""
        keyword = next(key for key in ("$ref", "$dynamicRef", "$recursiveRef") if key in schema)
        value = schema[keyword]
        if not isinstance(value, str):
            raise RefusedSchema(keyword, path, "no text")
        if keyword == "$dynamicRef" and self._anchors.get(value.partition("#")[2], 0) > 1:
            raise RefusedSchema(keyword, path, "its anchor stands at several places")
        if keyword == "$recursiveRef" and self._anchors.get("$recursive", 0) > 1:
            raise RefusedSchema(keyword, path, "its anchor stands at several places")
        whole = urljoin(self._bases.get(id(schema), ""), value)
        if whole in self._named:
            return self._named[whole]
        base, pointer = urldefrag(whole)
        if base not in self._named:
            raise RefusedSchema(keyword, path, "it names another schema, which no registry holds")
        if pointer and not pointer.startswith("/"):
            raise RefusedSchema(keyword, path, f"there is no anchor {pointer[:40]}")
        return self._follow(base, pointer, keyword, path)

    def _follow(self, base: str, pointer: str, keyword: str, path: str) -> JsonValue:
        place: JsonValue = self._named[base]
        for part in pointer.split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(place, dict) and name in place:
                place = place[name]
            elif isinstance(place, dict) and name == "items" and "prefixItems" in place:
                place = place["prefixItems"]  # where a list of them was, until `json_schemas` called it by its newer name
            elif isinstance(place, list) and name.isdecimal() and int(name) < len(place):
                place = place[int(name)]
            else:
                raise RefusedSchema(keyword, path, f"there is no {name[:40]} where it points")
        if isinstance(place, dict) and id(place) not in self._bases:
            self._index(place, base)
        return place

    def _index(self, schema: JsonValue, base: str) -> None:
        if not isinstance(schema, dict):
            return
        own = schema.get("$id", schema.get("id"))
        if isinstance(own, str) and ("$ref" not in schema or schema is self._root):
            base = urljoin(base, own)
            if base.endswith("#"):
                base = base[:-1]
            self._named.setdefault(base, schema)
        self._bases[id(schema)] = base
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(name := schema.get(keyword), str):
                self._named.setdefault(urljoin(base, f"#{name}"), schema)
                self._anchors[name] = self._anchors.get(name, 0) + 1
        if schema.get("$recursiveAnchor") is True:
            self._anchors["$recursive"] = self._anchors.get("$recursive", 0) + 1
        for _, part in parts(schema):
            self._index(part, base)
