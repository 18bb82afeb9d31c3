"""The OpenAPI description: what FastAPI knows of the control API, what each door says of itself, the error body and the key scheme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from hanlin.errors import FAMILIES
from hanlin.gateway.door import Door
from hanlin.gateway.doors import ALL
from hanlin.gateway.inference_operations import PARAMETERS
from hanlin.gateway.openapi_control import describe_control
from hanlin.gateway.openapi_jobs import add_jobs
from hanlin.gateway.operation import ERROR, FLAT_ERROR, MESSAGE_ERROR, Told
from hanlin.gateway.status import TYPES
from hanlin.types import JsonObject, JsonValue

_TYPES: list[JsonValue] = [*sorted({*TYPES.values(), "server_error"})]
_ERROR: JsonObject = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "family", "message", "request_id", "type"],
            "properties": {
                "code": {"type": "string", "description": "stable, for programs"},
                "family": {"type": "string", "enum": list[JsonValue](sorted(FAMILIES))},
                "message": {"type": "string", "description": "for people, in the language of Accept-Language: en or zh"},
                "next": {"type": "string", "description": "what to do about it"},
                "request_id": {"type": "string"},
                "retry_after_s": {"type": "number"},
                "index": {"type": "integer", "description": "of the item that is wrong"},
                "type": {"type": "string", "enum": _TYPES, "description": "in OpenAI's words"},
            },
        }
    },
    "example": {
        "error": {
            "code": "empty_text", "family": "InvalidInput", "message": "text 1 is empty", "request_id": "4f1c2a9e0b7d3c55", "index": 1,
            "type": "invalid_request_error",
        }
    },
}  # fmt: skip
_FLAT_ERROR: JsonObject = {
    "type": "object", "required": ["error", "code", "family", "request_id", "type"],
    "properties": {
        "error": {"type": "string", "description": "for people, in the language of Accept-Language: en or zh"},
        "code": {"type": "string", "description": "stable, for programs"}, "family": {"type": "string"}, "next": {"type": "string"},
        "request_id": {"type": "string"}, "retry_after_s": {"type": "number"}, "index": {"type": "integer"}, "type": {"type": "string"},
    },
}  # fmt: skip
_MESSAGE_ERROR: JsonObject = {
    "type": "object", "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"enum": ["error"]}, "request_id": {"type": "string"},
        "error": {
            "type": "object", "required": ["type", "message", "code"],
            "properties": {
                "type": {"type": "string", "description": "in Anthropic's words"}, "message": {"type": "string"},
                "code": {"type": "string", "description": "stable, for programs"}, "next": {"type": "string"},
            },
        },
    },
}  # fmt: skip
_ABOUT = """Text in, answers out. Send your key as `Authorization: Bearer hl_…`; `Accept-Language: zh` answers errors in Chinese.
Every answer has `X-Request-Id`; every refusal has the one error form, but for protocols that have one of their own."""
_KEY: JsonObject = {"type": "http", "scheme": "bearer", "description": "hl_…; `hanlin key create` makes one"}


def describe(schema: JsonObject, doors: Sequence[Door] = ALL) -> JsonObject:
    """`schema` of FastAPI with what it does not know."""
    components = dict(cast("JsonObject", schema.get("components", {})))
    schemas = dict(cast("JsonObject", components.get("schemas", {})))
    schemas |= {**_parameters(), ERROR: _ERROR, FLAT_ERROR: _FLAT_ERROR, MESSAGE_ERROR: _MESSAGE_ERROR}
    control = describe_control(cast("JsonObject", schema.get("paths", {})), schemas)
    add_jobs(schemas, control)
    components["schemas"] = schemas
    components["securitySchemes"] = {"key": _KEY}
    info: JsonObject = {**cast("JsonObject", schema.get("info", {})), "description": _ABOUT}
    paths: JsonObject = _of_doors(doors)
    for path, methods in control.items():  # one address may have methods here and there
        paths[path] = {**cast("JsonObject", paths.get(path, {})), **cast("JsonObject", methods)}
    return {**schema, "info": info, "paths": paths, "components": components, "security": [{"key": []}]}


def _of_doors(doors: Sequence[Door]) -> JsonObject:
    found: dict[str, JsonObject] = {}
    for door in doors:
        is_call = door.read is not None or door.read_framed is not None
        for path in filter(None, (door.path, door.alias)):
            methods = found.setdefault(path, {})
            for method, told in (("get", door.get), ("post", door.post)):
                if told is not None:
                    methods[method] = _made(told, path, is_call=is_call and method == "post", is_alias=path == door.alias)
    return dict(found)


def _made(told: Told, path: str, *, is_call: bool, is_alias: bool) -> JsonObject:
    """One operation; at its other address under a name of its own."""
    operation = told() if callable(told) else told
    if is_alias:
        operation = replace(operation, name=f"{operation.name}_of_version")
    return operation.describe(path, is_call=is_call)


def _parameters() -> dict[str, JsonValue]:
    """The schema of each task's parameters, as the task declares them, under names such as `embedding.parameters`."""
    from hanlin.tasks.base import TASKS  # here, for it loads numpy, which a gateway needs for its documents only
    from hanlin.tasks.parameters import describe as describe_parameters

    return {f"{name}{PARAMETERS}": describe_parameters(TASKS.get(name).parameters) for name in TASKS.names()}
