"""The doors of other protocols in the OpenAPI description, with a worked example each."""

from __future__ import annotations

from dataclasses import dataclass, field

from hanlin.types import JsonObject, JsonValue

_TEXT: JsonObject = {"type": "string"}
_TEXTS: JsonObject = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_ONE_OR_MORE: JsonObject = {"oneOf": [_TEXT, _TEXTS]}
_COUNT: JsonObject = {"type": "integer", "minimum": 1}
_SHOW_REFUSALS = ("401", "404", "503")


@dataclass(frozen=True, slots=True)
class _Described:
    """One address: what it is for, an example of its answer; the fields of its body, where it takes one, and an example of that."""

    path: str
    tag: str
    name: str
    summary: str
    answer: JsonValue
    fields: JsonObject = field(default_factory=dict)
    required: tuple[str, ...] = ()
    body: JsonObject = field(default_factory=dict)


_MODEL: JsonObject = {"id": "search", "object": "model", "created": 0, "owned_by": "default"}
_META: JsonObject = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}, "tokens": {"input_tokens": 31}}
_RERANK: JsonObject = {"model": _TEXT, "query": _TEXT, "documents": _TEXTS, "top_n": _COUNT}
_RERANK_REQUIRED = ("model", "query", "documents")
_DOCUMENT: JsonObject = {"type": "object", "required": ["text"], "properties": {"text": _TEXT}, "additionalProperties": False}
_DOCUMENTS: JsonObject = {"type": "array", "items": {"oneOf": [_TEXT, _DOCUMENT]}, "minItems": 1}
_RERANK_BODY: JsonObject = {
    "model": "ranks", "query": "How do I return a parcel?", "documents": ["Our shop opens at nine.", "Send it back within 30 days."],
    "top_n": 1,
}  # fmt: skip
_DESCRIBED = (
    _Described("/v1/models", "openai", "list_models", "The endpoints of your team", {"object": "list", "data": [_MODEL]}),
    _Described("/v1/models/{endpoint}", "openai", "show_model", "One endpoint", _MODEL),
    _Described(
        "/v1/embeddings", "openai", "create_embeddings", "Vectors of length 1; `model` is the endpoint. Token arrays are not taken.",
        {
            "object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.5, 0.5, 0.5]}], "model": "search",
            "usage": {"prompt_tokens": 9, "total_tokens": 9},
        },
        {
            "input": _ONE_OR_MORE, "model": _TEXT, "encoding_format": {"type": "string", "enum": ["float", "base64"], "default": "float"},
            "dimensions": _COUNT, "user": _TEXT,
        },
        ("input", "model"), {"input": ["How do I return a parcel?"], "model": "search", "dimensions": 4},
    ),
    _Described(
        "/v2/rerank", "rerank", "rerank_cohere", "Texts in the order in which they answer a query, as Cohere has it",
        {"id": "9d2c…", "results": [{"index": 1, "relevance_score": 0.91}], "meta": _META}, _RERANK, _RERANK_REQUIRED, _RERANK_BODY,
    ),
    _Described(
        "/v1/rerank", "rerank", "rerank", "The same for clients of Cohere's first version and of Jina",
        {
            "id": "9d2c…", "model": "ranks", "object": "list", "meta": _META, "usage": {"prompt_tokens": 31, "total_tokens": 31},
            "results": [{"index": 1, "relevance_score": 0.91, "document": {"text": "Send it back within 30 days."}}],
        },
        {**_RERANK, "documents": _DOCUMENTS, "return_documents": {"type": "boolean", "default": True}}, _RERANK_REQUIRED, _RERANK_BODY,
    ),
)  # fmt: skip


def add_doors(paths: JsonObject, refusals: dict[str, JsonValue]) -> None:
    """Puts every door but the task API's into `paths`; `refusals` by status."""
    for item in _DESCRIBED:
        known = refusals if item.fields else {status: refusals[status] for status in _SHOW_REFUSALS}
        good: JsonObject = {"description": "The answer", "content": {"application/json": {"example": item.answer}}}
        operation: JsonObject = {"tags": [item.tag], "summary": item.summary, "operationId": item.name, "responses": {"200": good, **known}}
        if "{endpoint}" in item.path:
            operation["parameters"] = [{"name": "endpoint", "in": "path", "required": True, "schema": _TEXT}]
        if item.fields:
            schema: JsonObject = {
                "type": "object", "required": list(item.required), "additionalProperties": False, "properties": item.fields,
            }  # fmt: skip
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema, "example": item.body}}}
        paths[item.path] = {"post" if item.fields else "get": operation}
