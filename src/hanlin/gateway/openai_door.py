"""OpenAI's API: the list of models, and embeddings. Source: its reference of `/v1/models` and `/v1/embeddings`.

The model is the endpoint. Vectors have length 1, as clients of that API expect.
"""

from __future__ import annotations

import sys
from array import array
from base64 import b64encode

import msgspec
from starlette.responses import Response

from hanlin.errors import InvalidInput
from hanlin.gateway import strict_json
from hanlin.gateway.dataplane import Dataplane, Outcome
from hanlin.gateway.door import Ask, Door
from hanlin.gateway.fields import choice, text
from hanlin.types import JsonObject, JsonValue, Principal

_FIELDS = ("input", "model", "encoding_format", "dimensions", "user")
_FORMATS = ("float", "base64")


def read_embeddings(body: bytes, _: str) -> Ask:
    """See `door.Read`."""
    value = strict_json.parse_object(body, allowed=_FIELDS, required=("input", "model"))
    model = text(value, "model")
    if value.get("user") is not None:
        text(value, "user")
    is_base64 = choice(value, "encoding_format", _FORMATS) == "base64"
    parameters: JsonObject = {"normalize": True}
    if value.get("dimensions") is not None:
        parameters["dimensions"] = value["dimensions"]
    inputs = value["input"]
    _refuse_tokens(inputs)

    def write(outcome: Outcome) -> bytes:
        return _embeddings(outcome, model, is_base64=is_base64)

    return Ask(model, [inputs] if isinstance(inputs, str) else inputs, parameters, "embedding", write)


def list_models(dataplane: Dataplane, principal: Principal, _: str) -> Response:
    """See `door.Show`."""
    data: list[JsonValue] = [_model(name, principal) for name, _ in dataplane.endpoints(principal)]
    return Response(msgspec.json.encode({"object": "list", "data": data}), media_type="application/json")


def show_model(dataplane: Dataplane, principal: Principal, endpoint: str) -> Response:
    """See `door.Show`."""
    dataplane.find(principal, endpoint)
    return Response(msgspec.json.encode(_model(endpoint, principal)), media_type="application/json")


def _model(endpoint: str, principal: Principal) -> JsonObject:
    """`created` is required there; gateways do not know when an endpoint was made."""
    return {"id": endpoint, "object": "model", "created": 0, "owned_by": principal.team_id}


def _refuse_tokens(inputs: JsonValue) -> None:
    """Raises InvalidInput (`token_arrays_not_taken`): numbers of another model's vocabulary mean nothing to this one."""
    first = inputs[0] if isinstance(inputs, list) and inputs else None
    first = first[0] if isinstance(first, list) and first else first
    if isinstance(first, int) and not isinstance(first, bool):
        raise InvalidInput("token_arrays_not_taken")


def _embeddings(outcome: Outcome, model: str, *, is_base64: bool) -> bytes:
    """The vectors stand in the answer as the worker wrote them; only base64 reads their numbers."""
    vectors = msgspec.json.decode(outcome.body, type=list[msgspec.Raw])
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if is_base64 else vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": outcome.tokens, "total_tokens": outcome.tokens}
    return msgspec.json.encode({"object": "list", "data": data, "model": model, "usage": usage})


def _packed(vector: msgspec.Raw) -> str:
    """Its float32 values, little-endian."""
    values = array("f", msgspec.json.decode(vector, type=list[float]))
    if sys.byteorder == "big":
        values.byteswap()
    return b64encode(values).decode("ascii")


DOORS = (Door("/v1/models", show=list_models), Door("/v1/models/{endpoint}", show=show_model), Door("/v1/embeddings", read=read_embeddings))
