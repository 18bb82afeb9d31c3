"""Reranking in the shapes of Cohere (v2, v1) and Jina. Source: their references of `/v2/rerank` and `/v1/rerank`.

The model is the endpoint. One answer at `/v1/rerank` has what clients of both read.
"""

from __future__ import annotations

from typing import Literal
from uuid import uuid4

import msgspec

from hanlin.gateway import rerank_operations as operations
from hanlin.gateway import strict_json
from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.door import Ask, Door, Write
from hanlin.gateway.fields import count, endpoint_of, flag, untaken
from hanlin.types import JsonObject, JsonValue

_FIELDS = ("model", "query", "documents", "top_n")
_UNTAKEN_V2 = ("max_tokens_per_doc", "priority")  # what Cohere's clients send as null when nobody set it
_UNTAKEN_V1 = ("max_chunks_per_doc", "max_tokens_per_doc", "rank_fields")
FIELDS_V1 = (*_FIELDS, "return_documents", *_UNTAKEN_V1)
_REQUIRED = ("model", "query", "documents")
_SEARCH_UNIT = 100  # documents that Cohere counts as one


class _Ranked(msgspec.Struct, gc=False):
    index: int
    score: msgspec.Raw  # the number as the worker wrote it


def read_v2(body: bytes, _: str) -> Ask:
    """See `door.Read`."""
    value = strict_json.parse_object(body, allowed=(*_FIELDS, *_UNTAKEN_V2), required=_REQUIRED)
    untaken(value, _UNTAKEN_V2)
    num_documents = len(value["documents"]) if isinstance(value["documents"], list) else 0

    def write(outcome: Outcome) -> bytes:
        results = [_result(item) for item in _ranked(outcome)]
        return msgspec.json.encode({"id": str(uuid4()), "results": results, "meta": _meta("2", outcome, num_documents)})

    return _ask(value, value["documents"], write)


def read_v1(body: bytes, _: str) -> Ask:
    """See `door.Read`. Documents may be objects of a `text`, as both protocols allow; the answer repeats them, as Jina does by default."""
    return of_documents(strict_json.parse_object(body, allowed=FIELDS_V1, required=_REQUIRED))


def of_documents(value: JsonObject) -> Ask:
    """What the fields of such a body ask for."""
    untaken(value, _UNTAKEN_V1)
    returns_documents = flag(value, "return_documents", default=True)
    model, documents = endpoint_of(value), value["documents"]
    texts: JsonValue = [_text_of(item) for item in documents] if isinstance(documents, list) else documents

    def write(outcome: Outcome) -> bytes:
        assert isinstance(texts, list), "another shape has no outcome"
        results = [
            _result(item) | ({"document": {"text": texts[item.index]}} if returns_documents else {}) for item in _ranked(outcome)
        ]  # fmt: skip
        return msgspec.json.encode(
            {
                "id": str(uuid4()), "model": model, "object": "list", "results": results, "meta": _meta("1", outcome, len(texts)),
                "usage": {"prompt_tokens": outcome.tokens, "total_tokens": outcome.tokens},
            }
        )  # fmt: skip

    return _ask(value, texts, write)


def _ask(value: JsonObject, texts: JsonValue, write: Write) -> Ask:
    top_n = count(value, "top_n")
    parameters: JsonObject = {} if top_n is None else {"top_k": top_n}
    return Ask(endpoint_of(value), {"query": value["query"], "texts": texts}, parameters, "reranking", write)


def _text_of(document: JsonValue) -> JsonValue:
    """The text of `{"text": …}`; whatever else it is, the task judges."""
    return document["text"] if isinstance(document, dict) and document.keys() == {"text"} else document


def _ranked(outcome: Outcome) -> list[_Ranked]:
    return msgspec.json.decode(outcome.body, type=list[_Ranked])


def _result(item: _Ranked) -> dict[str, object]:
    return {"index": item.index, "relevance_score": item.score}


def _meta(version: Literal["1", "2"], outcome: Outcome, num_documents: int) -> JsonObject:
    return {
        "api_version": {"version": version}, "billed_units": {"search_units": max(1, -(-num_documents // _SEARCH_UNIT))},
        "tokens": {"input_tokens": outcome.tokens},
    }  # fmt: skip


DOORS = (Door("/v2/rerank", read=read_v2, post=operations.RERANK_V2), Door("/v1/rerank", read=read_v1, post=operations.RERANK_V1))
