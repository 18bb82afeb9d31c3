"""The control API in the description: FastAPI's own refusals, which this server never sends, give way to the real ones."""

from __future__ import annotations

from typing import cast

from hanlin.gateway.operation import PREFIX, refusals
from hanlin.types import JsonObject

_ALWAYS = (401, 403, 500, 503)
_OF_A_CHANGE = (404, 409, 507)
_OF_A_BODY = (400, 413, 415, 422)
_FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")


def describe_control(paths: JsonObject, schemas: JsonObject) -> JsonObject:
    """`paths` of FastAPI with the refusals that these routes have; what only described FastAPI's leaves `schemas`."""
    for name in _FASTAPIS_OWN:
        schemas.pop(name, None)
    return {path: _described(path, cast("JsonObject", methods)) for path, methods in paths.items()}


def _described(path: str, methods: JsonObject) -> JsonObject:
    found: JsonObject = {}
    for method, told in methods.items():
        operation = dict(cast("JsonObject", told))
        known = {
            status: answer for status, answer in cast("JsonObject", operation.get("responses", {})).items() if not _is_fastapis(answer)
        }
        more = refusals(_statuses(method, operation)) if path.startswith((f"{PREFIX}/", "/v1/")) else {}
        if method == "head":
            more = {status: {"description": cast("JsonObject", answer)["description"]} for status, answer in more.items()}
        operation["responses"] = {**known, **{status: answer for status, answer in more.items() if status not in known}}
        found[method] = operation
    return found


def _statuses(method: str, operation: JsonObject) -> tuple[int, ...]:
    """Of the refusals that a route of this kind can have."""
    found = {*_ALWAYS}
    parameters = cast("list[JsonObject]", operation.get("parameters", []))
    if any(item["in"] == "path" for item in parameters):
        found.add(404)
    if parameters:
        found.add(422)
    if method not in ("get", "head"):
        found |= {*_OF_A_CHANGE}
    if "requestBody" in operation:
        found |= {*_OF_A_BODY}
    return tuple(sorted(found))


def _is_fastapis(answer: object) -> bool:
    return any(name in str(answer) for name in _FASTAPIS_OWN)
