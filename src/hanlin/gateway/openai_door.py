"""OpenAI's API: the list of models, and embeddings. Source: its reference of `/v1/models` and `/v1/embeddings`.

The model is the endpoint. Vectors have length 1, as clients of that API expect.
"""

from __future__ import annotations

from binascii import b2a_base64
from struct import Struct

import msgspec
import orjson
from starlette.responses import Response

from hanlin.gateway import openai_operations as operations
from hanlin.gateway import strict_json
from hanlin.gateway.dataplane import Dataplane, Outcome
from hanlin.gateway.door import Ask, Door
from hanlin.gateway.fields import choice, endpoint_of, text
from hanlin.types import TOKEN_IDS, JsonObject, JsonValue, Principal, model_of_endpoint

_FIELDS = ("input", "model", "encoding_format", "dimensions", "user")
_FORMATS = ("float", "base64")


def read_embeddings(body: bytes, _: str) -> Ask:
    """See `door.Read`."""
    value = strict_json.parse_object(body, allowed=_FIELDS, required=("input", "model"))
    model = endpoint_of(value)
    if value.get("user") is not None:
        text(value, "user")
    is_base64 = choice(value, "encoding_format", _FORMATS) == "base64"
    parameters: JsonObject = {"normalize": True}
    if value.get("dimensions") is not None:
        parameters["dimensions"] = value["dimensions"]
    inputs = _items(value["input"])

    def write(outcome: Outcome) -> bytes:
        return _embeddings(outcome, model, is_base64=is_base64)

    return Ask(model, inputs, parameters, "embedding", write)


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
    return {"id": model_of_endpoint(endpoint), "object": "model", "created": 0, "owned_by": principal.team_id}


def _items(inputs: JsonValue) -> JsonValue:
    """A list of texts or token arrays: of a text, of texts, of tokens, or of lists of tokens. Whatever else it is, the task judges."""
    if isinstance(inputs, str):
        return [inputs]
    if not isinstance(inputs, list) or not inputs:
        return inputs
    if _is_token(inputs[0]):
        return [{TOKEN_IDS: inputs}]
    return [{TOKEN_IDS: item} if isinstance(item, list) and item and _is_token(item[0]) else item for item in inputs]


def _is_token(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _embeddings(outcome: Outcome, model: str, *, is_base64: bool) -> bytes:
    """Put together from bytes: 32 vectors of 384 numbers take 75 us; through objects 220."""
    values = _packed(outcome.body) if is_base64 else _numbers(outcome.body)
    data = b",".join([b'{"object":"embedding","index":%d,"embedding":%s}' % item for item in enumerate(values)])
    usage = b'{"prompt_tokens":%d,"total_tokens":%d}' % (outcome.tokens, outcome.tokens)
    return b'{"object":"list","data":[%s],"model":%s,"usage":%s}' % (data, msgspec.json.encode(model), usage)


def _numbers(body: bytes) -> list[bytes]:
    """JSON text of each vector in `[[…], …]`, as the worker wrote it: numbers hold no brackets."""
    return [part[part.rindex(b"[") :] + b"]" for part in body.split(b"]") if b"[" in part]


def _packed(body: bytes) -> list[bytes]:
    """Float32 values of each vector, little-endian, as a JSON string of base64."""
    rows = orjson.loads(body)
    pack = Struct(f"<{len(rows[0])}f").pack
    return [b'"%s"' % b2a_base64(pack(*row), newline=False) for row in rows]


DOORS = (
    Door("/v1/models", show=list_models, get=operations.LIST_MODELS),
    Door("/v1/models/{endpoint}", show=show_model, get=operations.SHOW_MODEL, elsewhere=("DELETE",)),
    Door("/v1/embeddings", read=read_embeddings, post=operations.EMBEDDINGS),
)
