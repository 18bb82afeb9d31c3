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
_FLAG: JsonObject = {"type": "boolean", "default": False}
_CUT: JsonObject = {
    "truncate": {"type": "boolean", "description": "left out, the endpoint's policy"},
    "truncation_direction": {"type": "string", "enum": ["right", "Right"]},
}  # fmt: skip
_SEQUENCE: JsonObject = {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 1}
_SEQUENCES: JsonObject = {"type": "array", "items": _SEQUENCE, "minItems": 1}
_DESCRIBED = (
    _Described(
        "/hf/{endpoint}", "hugging face", "hf_inference", "The task API as `huggingface_hub.InferenceClient` sends and reads it",
        [[{"label": "positive", "score": 0.98}, {"label": "negative", "score": 0.02}]],
        {
            "inputs": _ONE_OR_MORE, "parameters": {"type": "object"}, "normalize": _FLAG, "dimensions": _COUNT, "prompt_name": _TEXT,
            "encoding_format": {"type": "string", "enum": ["float"]}, **_CUT,
        },
        ("inputs",), {"inputs": "The food was wonderful."},
    ),
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
    _Described(
        "/tei/{endpoint}/embed", "tei", "tei_embed", "Vectors, of length 1 unless `normalize` is false", [[0.5, -0.5, 0.5, 0.5]],
        {"inputs": _ONE_OR_MORE, "normalize": {"type": "boolean", "default": True}, "dimensions": _COUNT, "prompt_name": _TEXT, **_CUT},
        ("inputs",), {"inputs": ["How do I return a parcel?"]},
    ),
    _Described(
        "/tei/{endpoint}/predict", "tei", "tei_predict", "Labels of one text, or of several as lists of one text each",
        [[{"label": "positive", "score": 0.98}, {"label": "negative", "score": 0.02}]],
        {"inputs": {"oneOf": [_TEXT, _SEQUENCE, _SEQUENCES]}, "raw_scores": _FLAG, **_CUT}, ("inputs",),
        {"inputs": [["The food was wonderful."]]},
    ),
    _Described(
        "/tei/{endpoint}/rerank", "tei", "tei_rerank", "Texts in the order in which they answer a query", [{"index": 1, "score": 0.91}],
        {"query": _TEXT, "texts": _TEXTS, "raw_scores": _FLAG, "return_text": _FLAG, **_CUT}, ("query", "texts"),
        {"query": "How do I return a parcel?", "texts": ["Our shop opens at nine.", "Send it back within 30 days."]},
    ),
    _Described(
        "/tei/{endpoint}/info", "tei", "tei_info", "What is served",
        {"model_id": "search", "model_type": {"embedding": {"pooling": "unknown"}}, "max_input_length": 512, "max_client_batch_size": 256},
    ),
    _Described("/tei/{endpoint}/health", "tei", "tei_health", "Whether a call would be answered", None),
)  # fmt: skip


def add_doors(paths: JsonObject, refusals: dict[str, JsonValue]) -> None:
    """Puts every door but the task API's into `paths`; `refusals` by status."""
    for item in _DESCRIBED:
        known = refusals if item.fields else {status: refusals[status] for status in _SHOW_REFUSALS}
        good: JsonObject = {"description": "The answer"}
        if item.answer is not None:
            good["content"] = {"application/json": {"example": item.answer}}
        operation: JsonObject = {"tags": [item.tag], "summary": item.summary, "operationId": item.name, "responses": {"200": good, **known}}
        if "{endpoint}" in item.path:
            operation["parameters"] = [{"name": "endpoint", "in": "path", "required": True, "schema": _TEXT}]
        if item.fields:
            schema: JsonObject = {
                "type": "object", "required": list(item.required), "additionalProperties": False, "properties": item.fields,
            }  # fmt: skip
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema, "example": item.body}}}
        paths[item.path] = {"post" if item.fields else "get": operation}
