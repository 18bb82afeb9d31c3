"""The description of the doors for OpenAI's clients."""

from __future__ import annotations

from hanlin.gateway.operation import Operation, answer_of, body_of
from hanlin.gateway.schemas import MAYBE_COUNT, MAYBE_WORD, NUMBER, TEXT, TEXTS, VECTOR, WHOLE, WORD, const, many
from hanlin.types import JsonObject

USAGE: JsonObject = answer_of(prompt_tokens=WHOLE, total_tokens=WHOLE)
_MODEL: JsonObject = answer_of(id=WORD, object=const("model"), created=WHOLE, owned_by=WORD)
_SHOWN: JsonObject = {"id": "search", "object": "model", "created": 0, "owned_by": "default"}
_FORMAT: JsonObject = {"type": ["string", "null"], "enum": ["float", "base64", None], "default": "float"}
_EMBEDDING: JsonObject = answer_of(object=const("embedding"), index=WHOLE, embedding={"anyOf": [VECTOR, WORD]})
_TOKENS: JsonObject = many(WHOLE)
_INPUT: JsonObject = {"anyOf": [TEXT, TEXTS, _TOKENS, many(_TOKENS)]}
_EXAMPLE: JsonObject = {"input": ["How do I return a parcel?"], "model": "search", "dimensions": 4}

LIST_MODELS = Operation(
    "list_endpoints_as_models", "openai", "The endpoints of your team", answer_of(object=const("list"), data=many(_MODEL)),
    {"object": "list", "data": [_SHOWN]},
)  # fmt: skip
SHOW_MODEL = Operation("show_endpoint_as_model", "openai", "One endpoint", _MODEL, _SHOWN)
EMBEDDINGS = Operation(
    "create_embeddings", "openai", "Vectors of length 1; `model` is the endpoint",
    answer_of(object=const("list"), data=many(_EMBEDDING), model=WORD, usage=USAGE),
    {
        "object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.5, 0.5, 0.5]}], "model": "search",
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    },
    body_of("input", "model", input=_INPUT, model=WORD, encoding_format=_FORMAT, dimensions=MAYBE_COUNT, user=MAYBE_WORD),
    {"embedding": _EXAMPLE, "embedding, in base64": {**_EXAMPLE, "encoding_format": "base64"}},
    about="Tokens are those of the endpoint's own model, its special tokens included.",
)  # fmt: skip
_PART: JsonObject = body_of("type", "text", type=const("text"), text=TEXT)
_BY_LABEL: JsonObject = {"type": "object", "additionalProperties": {"type": "boolean"}}
_RESULT: JsonObject = answer_of(
    flagged={"type": "boolean"}, categories=_BY_LABEL, category_scores={"type": "object", "additionalProperties": NUMBER},
    category_applied_input_types={"type": "object", "additionalProperties": many(const("text"))},
)  # fmt: skip
MODERATIONS = Operation(
    "create_moderation", "openai", "Whether texts are harmful, by the classifier that the operator has chosen",
    answer_of(id=WORD, model=WORD, results=many(_RESULT)),
    {
        "id": "modr-9d2c41f0", "model": "toxicity",
        "results": [
            {
                "flagged": True, "categories": {"insult": True, "fine": False}, "category_scores": {"insult": 0.93, "fine": 0.07},
                "category_applied_input_types": {"insult": ["text"], "fine": ["text"]},
            }
        ],
    },
    body_of("input", input={"anyOf": [TEXT, TEXTS, many(_PART)]}, model=MAYBE_WORD),
    {"text-classification": {"input": ["The food was wonderful."], "model": "omni-moderation-latest"}},
)  # fmt: skip
