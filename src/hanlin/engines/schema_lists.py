"""What schemas say of lists, said anew: `prefixItems` and `items` are all that is left. See `schema_rewriting`."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from hanlin.engines.schema_negation import text_of
from hanlin.engines.schema_places import RefusedSchema
from hanlin.types import JsonObject, JsonValue

if TYPE_CHECKING:
    from hanlin.engines.schema_rewriting import Rewriting

MAX_PLACES = 6  # of which one holds what a list must contain
_MAX_CASES = 30


def kept(found: JsonObject, schema: JsonObject, rewriting: Rewriting, path: str) -> list[JsonValue]:
    """Puts what is said of items into `found`; returns what has to hold beside it."""
    first = schema.get("prefixItems")
    if isinstance(first, list):
        found["prefixItems"] = [rewriting.schema(each, f"{path}/prefixItems/{number}") for number, each in enumerate(first)]
    if "items" in schema:
        found["items"] = rewriting.schema(schema["items"], f"{path}/items")
    if schema.get("uniqueItems") is True and not _is_short(schema):
        found["uniqueItems"] = True  # read along by `unique_items`: no grammar can say it
        count = _num_values(rewriting.looked_up(schema.get("items", True), path))
        if count is not None and "prefixItems" not in found:
            most = found.get("maxItems")
            found["maxItems"] = min(count, most) if isinstance(most, int) else count
    return []


def _is_short(schema: JsonObject) -> bool:
    most = schema.get("maxItems")
    return isinstance(most, int | float) and most <= 1


def _num_values(items: JsonValue) -> int | None:
    """How many values there are to choose from, where a schema lists them."""
    if not isinstance(items, dict):
        return None
    if isinstance(values := items.get("enum"), list):
        return len({text_of(each) for each in values})
    if "const" in items:
        return 1
    return {"null": 1, "boolean": 2}.get(str(items.get("type")))


def cases(schema: JsonObject, path: str) -> list[tuple[JsonValue, str]]:
    """The places that what `contains` asks for may stand in."""
    if "contains" not in schema:
        return []
    least, most, wanted = _whole(schema.get("minContains"), 1), schema.get("maxContains"), schema["contains"]
    where = f"{path}/contains"
    if most is not None:
        return [(_counted(wanted, least, _whole(most, 0), where), where)]
    if least == 0 or wanted is True or wanted == {}:
        return [({"minItems": least}, where)]
    if least > MAX_PLACES:
        raise RefusedSchema("minContains", path, f"more than {MAX_PLACES}")
    longest = schema.get("maxItems")
    places = max(least, min(MAX_PLACES, int(longest) if isinstance(longest, int | float) else MAX_PLACES))
    chosen = list(combinations(range(places), least))
    if len(chosen) > _MAX_CASES:
        raise RefusedSchema("minContains", path, "too many places")
    ways: list[JsonValue] = [
        {"minItems": max(each) + 1, "prefixItems": [wanted if place in each else True for place in range(max(each) + 1)]} for each in chosen
    ]
    return [({"anyOf": ways}, where)]


def _counted(wanted: JsonValue, least: int, most: int, path: str) -> JsonValue:
    """Lists that begin with so many of what is wanted, behind which none is."""
    if most < least or most > MAX_PLACES:
        raise RefusedSchema("maxContains", path, "too few, or too many")
    if wanted is True or wanted == {}:
        return {"minItems": least, "maxItems": most}
    none: JsonValue = {"not": wanted}
    ways: list[JsonValue] = [{"minItems": count, "prefixItems": [wanted] * count, "items": none} for count in range(least, most + 1)]
    return {"anyOf": ways}


def _whole(value: JsonValue, otherwise: int) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else otherwise
