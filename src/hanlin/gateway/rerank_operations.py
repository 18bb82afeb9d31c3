"""The description of the doors for Cohere's and Jina's clients."""

from __future__ import annotations

from hanlin.gateway.openai_operations import USAGE
from hanlin.gateway.operation import Operation, answer_of, body_of
from hanlin.gateway.schemas import MAYBE_COUNT, NUMBER, TEXT, TEXTS, WHOLE, WORD, const, many
from hanlin.types import JsonObject

_META: JsonObject = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}, "tokens": {"input_tokens": 31}}
_META_SCHEMA: JsonObject = answer_of(
    api_version=answer_of(version=WORD), billed_units=answer_of(search_units=WHOLE), tokens=answer_of(input_tokens=WHOLE)
)
_RANKED: JsonObject = answer_of(index=WHOLE, relevance_score=NUMBER)
_RANKED_DOCUMENT: JsonObject = {
    "type": "object", "required": ["index", "relevance_score"],
    "properties": {"index": WHOLE, "relevance_score": NUMBER, "document": answer_of(text=WORD)},
}  # fmt: skip
_FIELDS: dict[str, JsonObject] = {"model": WORD, "query": TEXT, "top_n": MAYBE_COUNT}
_DOCUMENTS: JsonObject = {"type": "array", "items": {"anyOf": [TEXT, body_of("text", text=TEXT)]}, "minItems": 1}
_UNTAKEN: JsonObject = {"type": "null", "description": "only as Cohere's clients send it when nobody set it"}
_RETURNS: JsonObject = {"type": ["boolean", "null"], "default": True}
_EXAMPLE: JsonObject = {
    "model": "ranks", "query": "How do I return a parcel?", "documents": ["Our shop opens at nine.", "Send it back within 30 days."],
    "top_n": 1,
}  # fmt: skip

RERANK_V2 = Operation(
    "rerank_cohere", "rerank", "Texts in the order in which they answer a query, as Cohere has it",
    answer_of(id=WORD, results=many(_RANKED), meta=_META_SCHEMA),
    {"id": "9d2c41f0", "results": [{"index": 1, "relevance_score": 0.91}], "meta": _META},
    body_of("model", "query", "documents", **_FIELDS, documents=TEXTS, max_tokens_per_doc=_UNTAKEN, priority=_UNTAKEN),
    {"reranking": _EXAMPLE},
)  # fmt: skip
RERANK_V1 = Operation(
    "rerank", "rerank", "The same for clients of Cohere's first version and of Jina",
    answer_of(id=WORD, model=WORD, object=const("list"), results=many(_RANKED_DOCUMENT), meta=_META_SCHEMA, usage=USAGE),
    {
        "id": "9d2c41f0", "model": "ranks", "object": "list", "meta": _META, "usage": {"prompt_tokens": 31, "total_tokens": 31},
        "results": [{"index": 1, "relevance_score": 0.91, "document": {"text": "Send it back within 30 days."}}],
    },
    body_of("model", "query", "documents", **_FIELDS, documents=_DOCUMENTS, return_documents=_RETURNS,
            max_chunks_per_doc=_UNTAKEN, max_tokens_per_doc=_UNTAKEN, rank_fields=_UNTAKEN),
    {"reranking": _EXAMPLE, "reranking, without the documents": {**_EXAMPLE, "return_documents": False}},
)  # fmt: skip
