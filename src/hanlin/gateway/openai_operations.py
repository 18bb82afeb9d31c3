"""The description of the doors for OpenAI's clients."""

from __future__ import annotations

from hanlin.gateway.operation import Operation, answer_of, body_of
from hanlin.gateway.schemas import MAYBE_COUNT, MAYBE_WORD, ONE_OR_MORE, VECTOR, WHOLE, WORD, const, many
from hanlin.types import JsonObject

USAGE: JsonObject = answer_of(prompt_tokens=WHOLE, total_tokens=WHOLE)
_MODEL: JsonObject = answer_of(id=WORD, object=const("model"), created=WHOLE, owned_by=WORD)
_SHOWN: JsonObject = {"id": "search", "object": "model", "created": 0, "owned_by": "default"}
_FORMAT: JsonObject = {"type": ["string", "null"], "enum": ["float", "base64", None], "default": "float"}
_EMBEDDING: JsonObject = answer_of(object=const("embedding"), index=WHOLE, embedding={"anyOf": [VECTOR, WORD]})
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
    body_of("input", "model", input=ONE_OR_MORE, model=WORD, encoding_format=_FORMAT, dimensions=MAYBE_COUNT, user=MAYBE_WORD),
    {"embedding": _EXAMPLE, "embedding, in base64": {**_EXAMPLE, "encoding_format": "base64"}},
    about="Token arrays are not taken.",
)  # fmt: skip
