"""The OpenAPI description: what FastAPI knows of the control API, plus the inference routes, the error body and the key scheme."""

from __future__ import annotations

from typing import cast

from hanlin.gateway.openapi_doors import add_doors
from hanlin.gateway.openapi_jobs import add_jobs
from hanlin.types import MAX_TIMEOUT_S, JsonObject, JsonValue

_ERROR: JsonObject = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "family", "message", "request_id", "type"],
            "properties": {
                "code": {"type": "string"}, "family": {"type": "string"}, "message": {"type": "string"}, "next": {"type": "string"},
                "request_id": {"type": "string"}, "retry_after_s": {"type": "number"}, "index": {"type": "integer"},
                "type": {"type": "string", "description": "the family in the words of OpenAI's API"},
            },
        }
    },
}  # fmt: skip
_LIST: JsonObject = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_RANKING: JsonObject = {
    "type": "object", "required": ["query", "texts"], "additionalProperties": False,
    "properties": {"query": {"type": "string"}, "texts": _LIST},
}  # fmt: skip
_TOKENS: JsonObject = {
    "type": "object", "required": ["token_ids"], "additionalProperties": False,
    "properties": {"token_ids": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}},
}  # fmt: skip
_ITEMS: JsonObject = {"type": "array", "items": {"oneOf": [{"type": "string"}, _TOKENS]}, "minItems": 1}
_TEXTS: JsonObject = {"oneOf": [{"type": "string"}, _ITEMS, _TOKENS, _RANKING]}
PARAMETERS = ".parameters"  # behind a task's name: the schema of what its calls may choose
# Of a good answer; what each says stands in docs/endpoints.md.
_HEADERS = {
    "X-Hanlin-Model": "version and variant that answered", "X-Hanlin-Truncated": "indices of the texts that were cut, such as 0,5",
    "X-Hanlin-Windows": "index and number of windows of each text that was read in several, such as 0=3,5=2",
    "X-Hanlin-Cache": "hit or miss, where the endpoint keeps answers", "Server-Timing": "milliseconds of each part of the way",
}  # fmt: skip
_REFUSALS = {
    "400": "Not JSON", "401": "No key, or one that is not valid", "403": "The key lacks the scope `predict`", "404": "No such endpoint",
    "413": "Body, batch or text too large", "415": "Not application/json", "422": "The request is wrong; says what and where",
    "429": "Too many calls, or the queue is full; see Retry-After", "500": "The model failed", "503": "No replica is ready",
    "504": "The deadline passed",
}  # fmt: skip


def describe(schema: JsonObject) -> JsonObject:
    """`schema` of FastAPI with what it does not know."""
    paths = dict(cast("JsonObject", schema.get("paths", {})))
    paths["/models/{endpoint}"] = {"post": _predict(), "get": _describe()}
    components = dict(cast("JsonObject", schema.get("components", {})))
    schemas = dict(cast("JsonObject", components.get("schemas", {})))
    schemas |= {**_parameters(), "Error": _ERROR}
    add_jobs(schemas, paths)
    add_doors(paths, _refusals())
    components["schemas"] = schemas
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "hl_…; `hanlin key create` makes one"}}
    info: JsonObject = {
        **cast("JsonObject", schema.get("info", {})),
        "description": "Text in, answers out. Send your key as Authorization: Bearer hl_…; Accept-Language: zh answers errors in Chinese.",
    }
    return {**schema, "info": info, "paths": paths, "components": components, "security": [{"key": []}]}


def _predict() -> JsonObject:
    return {
        "tags": ["inference"],
        "summary": "Call a model",
        "description": "One text or a list of texts; a query and texts where they are ranked. A list is answered whole or refused whole, "
        "naming the index of the bad item.",
        "operationId": "predict",
        "parameters": [
            _endpoint(),
            {
                "name": "X-Timeout-S",
                "in": "header",
                "description": f"seconds allowed for the call, at most {MAX_TIMEOUT_S:g}",
                "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_TIMEOUT_S},
            },
            {"name": "X-Request-Id", "in": "header", "schema": {"type": "string"}, "description": "your own id, answered back"},
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _body(), "examples": _examples("request")}}},
        "responses": {
            "200": {
                "description": "The answer, as the endpoint's task gives it",
                "headers": {name: {"schema": {"type": "string"}, "description": words} for name, words in _HEADERS.items()},
                "content": {"application/json": {"examples": _examples("response")}},
            },
            **_refusals(),
        },
    }


def _examples(part: str) -> JsonObject:
    """The worked example of every task."""
    from hanlin.tasks.base import TASKS  # here, for it loads numpy, which a gateway needs for its documents only

    return {name: {"summary": name, "value": TASKS.get(name).example[part]} for name in TASKS.names()}


def _describe() -> JsonObject:
    return {
        "tags": ["inference"], "summary": "What an endpoint serves", "operationId": "describe_endpoint", "parameters": [_endpoint()],
        "responses": {"200": {"description": "Model, version, variant, labels, limits and a worked example"}, **_refusals("401", "404")},
    }  # fmt: skip


def _body() -> JsonObject:
    """What every task takes; its parameters are those of the endpoint's task."""
    return {"anyOf": [_body_of(name) for name in _parameters()]}


def _body_of(schema: str) -> JsonObject:
    return {
        "title": schema.removesuffix(PARAMETERS), "type": "object", "required": ["inputs"], "additionalProperties": False,
        "properties": {"inputs": _TEXTS, "parameters": {"$ref": f"#/components/schemas/{schema}"}},
    }  # fmt: skip


def _parameters() -> dict[str, JsonValue]:
    """The schema of each task's parameters, as the task declares them, under names such as `embedding.parameters`."""
    from hanlin.tasks.base import TASKS  # here, as below
    from hanlin.tasks.parameters import describe as describe_parameters

    return {f"{name}{PARAMETERS}": describe_parameters(TASKS.get(name).parameters) for name in TASKS.names()}


def _endpoint() -> JsonObject:
    return {"name": "endpoint", "in": "path", "required": True, "schema": {"type": "string"}}


def _refusals(*only: str) -> dict[str, JsonValue]:
    content: JsonObject = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {status: {"description": words, "content": content} for status, words in _REFUSALS.items() if not only or status in only}
