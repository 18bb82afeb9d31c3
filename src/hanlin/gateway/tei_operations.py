"""The description of the doors for clients of text-embeddings-inference."""

from __future__ import annotations

from dataclasses import replace

from hanlin.gateway.operation import OF_A_LOOK, Operation, answer_of, body_of
from hanlin.gateway.rerank_operations import RERANK_V1
from hanlin.gateway.schemas import CUT, FLAG, MAYBE_COUNT, MAYBE_WORD, NUMBER, ONE_OR_MORE, SCORED, TEXT, TEXTS, VECTORS, WHOLE, WORD, many
from hanlin.types import JsonObject

_NORMALIZE: JsonObject = {"type": ["boolean", "null"], "default": True}
_SEQUENCE: JsonObject = {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 1}
_SEQUENCES: JsonObject = {"anyOf": [TEXT, _SEQUENCE, {"type": "array", "items": {"anyOf": [TEXT, _SEQUENCE]}, "minItems": 1}]}
_RANKED: JsonObject = {"type": "object", "required": ["index", "score"], "properties": {"index": WHOLE, "score": NUMBER, "text": WORD}}
_LABELS: JsonObject = {"anyOf": [many(SCORED), many(many(SCORED))]}
_INFO: JsonObject = answer_of(
    model_id=WORD, model_dtype=WORD, model_type={"type": "object"}, max_concurrent_requests=WHOLE, max_input_length=WHOLE,
    max_batch_tokens=WHOLE, max_client_batch_size=WHOLE, auto_truncate={"type": "boolean"}, version=WORD,
)  # fmt: skip

EMBED = Operation(
    "tei_embed", "tei", "Vectors, of length 1 unless `normalize` is false", VECTORS, [[0.5, -0.5, 0.5, 0.5]],
    body_of("inputs", inputs=ONE_OR_MORE, normalize=_NORMALIZE, dimensions=MAYBE_COUNT, prompt_name=MAYBE_WORD, **CUT),
    {"embedding": {"inputs": ["How do I return a parcel?"]}},
)  # fmt: skip
EMBED_ALL = Operation(
    "tei_embed_all", "tei", "Vectors of all tokens of texts, special ones included, as they are before pooling", many(VECTORS),
    [[[0.5, -0.5, 0.5, 0.5], [0.1, 0.2, -0.3, 0.4]]],
    body_of("inputs", inputs=ONE_OR_MORE, prompt_name=MAYBE_WORD, **CUT), {"embedding": {"inputs": ["How do I return a parcel?"]}},
)  # fmt: skip
PREDICT = Operation(
    "tei_predict", "tei", "Labels of one text, or of several as lists of one text each", _LABELS,
    [[{"label": "positive", "score": 0.98}, {"label": "negative", "score": 0.02}]],
    body_of("inputs", inputs=_SEQUENCES, raw_scores=FLAG, **CUT),
    {"text-classification": {"inputs": [["The food was wonderful."]]}},
)  # fmt: skip
RERANK = Operation(
    "tei_rerank", "tei", "Texts in the order in which they answer a query", many(_RANKED), [{"index": 1, "score": 0.91}],
    body_of("query", "texts", query=TEXT, texts=TEXTS, raw_scores=FLAG, return_text=FLAG, **CUT),
    {"reranking": {"query": "How do I return a parcel?", "texts": ["Our shop opens at nine.", "Send it back within 30 days."]}},
)  # fmt: skip
INFO = Operation(
    "tei_info", "tei", "What is served", _INFO,
    {
        "model_id": "search", "model_dtype": "float32", "model_type": {"embedding": {"pooling": "unknown"}},
        "max_concurrent_requests": 1024, "max_input_length": 512, "max_batch_tokens": 4096, "max_client_batch_size": 256,
        "auto_truncate": False, "version": "1.0.0",
    },
    statuses=OF_A_LOOK,
)  # fmt: skip
HEALTH = Operation("tei_health", "tei", "Whether a call would be answered")
_SENTENCES: JsonObject = body_of("source_sentence", "sentences", source_sentence=TEXT, sentences=TEXTS)
_OPTIONS: JsonObject = {**body_of(**CUT, prompt_name={"type": "null"}), "type": ["object", "null"]}
SIMILARITY = Operation(
    "tei_similarity", "tei", "How much sentences mean the same as another one", many(NUMBER), [0.83, 0.12],
    body_of("inputs", inputs=_SENTENCES, parameters=_OPTIONS),
    {
        "embedding": {
            "inputs": {"source_sentence": "How do I return a parcel?", "sentences": ["Sending goods back", "Our shop opens at nine."]}
        }
    },
)  # fmt: skip
_TOKEN: JsonObject = answer_of(
    id=WHOLE, text=WORD, special={"type": "boolean"}, start={"type": ["integer", "null"]}, stop={"type": ["integer", "null"]}
)
TOKENIZE = Operation(
    "tei_tokenize", "tei", "Tokens of texts, with the characters that each stands for", many(many(_TOKEN)),
    [[{"id": 2204, "text": "good", "special": False, "start": 0, "stop": 4}]],
    body_of("inputs", inputs=ONE_OR_MORE, add_special_tokens={"type": ["boolean", "null"], "default": True}, prompt_name={"type": "null"}),
    {"text-classification": {"inputs": ["good"], "add_special_tokens": False}},
)  # fmt: skip
DECODE = Operation(
    "tei_decode", "tei", "The text of tokens", many(WORD), ["good"],
    body_of("ids", ids={"anyOf": [many(WHOLE), many(many(WHOLE))]}, skip_special_tokens={"type": ["boolean", "null"], "default": True}),
    {"text-classification": {"ids": [7, 8, 9]}},
)  # fmt: skip
PLAIN_RERANK = Operation(
    "rerank_plain", "rerank", "`/v1/rerank` where there are `documents`, `/tei/{endpoint}/rerank` where there are `texts`",
    {"anyOf": [many(_RANKED), RERANK_V1.answer]}, [{"index": 1, "score": 0.91}],
    {"anyOf": [RERANK.body, RERANK_V1.body]}, {**RERANK.examples, "reranking, of documents": RERANK_V1.examples["reranking"]},
)  # fmt: skip


def at_root(operation: Operation) -> Operation:
    """The same for the default endpoint."""
    about = "For the default endpoint: the operator's, or the only one of your team that does this."
    return replace(operation, name=operation.name.replace("tei_", "default_"), about=about)
