"""Text-embeddings-inference: below `/tei/{endpoint}`, and at the root for the default endpoint.

Source: the API description of huggingface/text-embeddings-inference.
"""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from hanlin import __version__
from hanlin.errors import InvalidInput, NotReady
from hanlin.gateway import rerank_door, strict_json
from hanlin.gateway import tei_operations as operations
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.door import Ask, Door
from hanlin.gateway.fields import flag, no_comparison, truncation, untaken
from hanlin.serving.routes import EndpointRoute
from hanlin.serving.wire import ReplicaInfo
from hanlin.types import JsonObject, JsonValue, Principal, json_type

_CUT = ("truncate", "truncation_direction")
_EMBED = ("inputs", "normalize", "dimensions", "prompt_name", *_CUT)
_COMPARED = {"source_sentence", "sentences"}
_EMBED_ALL = ("inputs", "prompt_name", *_CUT)
_PREDICT = ("inputs", "raw_scores", *_CUT)
_RERANK = ("query", "texts", "raw_scores", "return_text", *_CUT)
_NUMBERS = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def read_embed(body: bytes, endpoint: str) -> Ask:
    """See `door.Read`. The answer is a list of vectors for a single text, too."""
    value = strict_json.parse_object(body, allowed=_EMBED, required=("inputs",))
    parameters = truncation(value) | {name: value[name] for name in ("dimensions", "prompt_name") if value.get(name) is not None}
    if flag(value, "normalize", default=True):
        parameters["normalize"] = True
    no_comparison(value["inputs"])
    return Ask(endpoint, _several(value["inputs"]), parameters, "embedding")


def read_embed_all(body: bytes, endpoint: str) -> Ask:
    """See `door.Read`. Vectors of tokens come as the model makes them; the answer is a list of their lists for a single text, too."""
    value = strict_json.parse_object(body, allowed=_EMBED_ALL, required=("inputs",))
    no_comparison(value["inputs"])
    parameters: JsonObject = truncation(value) | {"output_value": "token_embeddings"}
    if value.get("prompt_name") is not None:
        parameters["prompt_name"] = value["prompt_name"]
    return Ask(endpoint, _several(value["inputs"]), parameters, "embedding")


def read_predict(body: bytes, endpoint: str) -> Ask:
    """See `door.Read`."""
    value = strict_json.parse_object(body, allowed=_PREDICT, required=("inputs",))
    parameters = truncation(value)
    if flag(value, "raw_scores", default=False):
        parameters["function_to_apply"] = "none"
    return Ask(endpoint, _sequences(value["inputs"]), parameters, "text-classification")


def read_similarity(body: bytes, endpoint: str) -> Ask:
    """See `door.Read`. The answer is a number for each of the sentences."""
    value = strict_json.parse_object(body, allowed=("inputs", "parameters"), required=("inputs",))
    inputs = value["inputs"]
    more = {} if value.get("parameters") is None else value["parameters"]
    if not isinstance(inputs, dict) or inputs.keys() != _COMPARED:
        raise InvalidInput("invalid_inputs", found=json_type(inputs))
    if not isinstance(more, dict):
        raise InvalidInput("parameters_not_an_object")
    strict_json.check_fields(more, allowed=(*_CUT, "prompt_name"), required=())
    untaken(more, ("prompt_name",))
    return Ask(endpoint, inputs, truncation(more), "embedding")


def read_tokenize(body: bytes, endpoint: str) -> Ask:
    """See `door.Read`."""
    value = strict_json.parse_object(body, allowed=("inputs", "add_special_tokens", "prompt_name"), required=("inputs",))
    untaken(value, ("prompt_name",))
    parameters: JsonObject = {"add_special_tokens": flag(value, "add_special_tokens", default=True)}
    return Ask(endpoint, value["inputs"], parameters, operation="tokenize")


def read_decode(body: bytes, endpoint: str) -> Ask:
    """See `door.Read`."""
    value = strict_json.parse_object(body, allowed=("ids", "skip_special_tokens"), required=("ids",))
    parameters: JsonObject = {"skip_special_tokens": flag(value, "skip_special_tokens", default=True)}
    return Ask(endpoint, value["ids"], parameters, operation="decode")


def read_rerank(body: bytes, endpoint: str) -> Ask:
    """See `door.Read`."""
    return _of_texts(strict_json.parse_object(body, allowed=_RERANK, required=("query", "texts")), endpoint)


def read_plain_rerank(body: bytes, _: str) -> Ask:
    """See `door.Read`. Clients of several protocols send to `/rerank`: those of this one have `texts`, others `documents`."""
    value = strict_json.parse_object(body, allowed=(*_RERANK, *rerank_door.FIELDS_V1), required=("query",))
    if "documents" in value:
        strict_json.check_fields(value, allowed=rerank_door.FIELDS_V1, required=("model", "documents"))
        return rerank_door.of_documents(value)
    strict_json.check_fields(value, allowed=_RERANK, required=("texts",))
    return _of_texts(value, "")


def _of_texts(value: JsonObject, endpoint: str) -> Ask:
    flags: JsonObject = {name: True for name in ("raw_scores", "return_text") if flag(value, name, default=False)}
    return Ask(endpoint, {"query": value["query"], "texts": value["texts"]}, truncation(value) | flags, "reranking")


def show_info(dataplane: Dataplane, principal: Principal, endpoint: str) -> Response:
    """What is served, under the names that this protocol has for it."""
    route = dataplane.find(principal, endpoint)
    if route.info is None:
        raise _not_ready(route)
    settings, info = dataplane.settings, route.info
    answer: JsonObject = {
        "model_id": route.model, "model_sha": None, "model_dtype": _number(route.variant), "model_type": _model_type(info),
        "max_concurrent_requests": settings.max_concurrency, "max_input_length": info.max_length,
        "max_batch_tokens": settings.max_batch_tokens, "max_batch_requests": None, "max_client_batch_size": info.max_items,
        "auto_truncate": route.long_text == "truncate", "tokenization_workers": 1,
        "version": __version__, "sha": None, "docker_label": None,
    }  # fmt: skip
    return Response(msgspec.json.encode(answer), media_type="application/json")


def show_health(dataplane: Dataplane, principal: Principal, endpoint: str) -> Response:
    """200 without a body where a call would be answered, one that wakes the endpoint included."""
    route = dataplane.find(principal, endpoint)
    if not route.replicas and route.state != "asleep":
        raise _not_ready(route)
    return Response()


def _several(inputs: JsonValue) -> JsonValue:
    return [inputs] if isinstance(inputs, str) else inputs


def _sequences(inputs: JsonValue) -> JsonValue:
    """Texts or pairs of `"text"`, `["text"]` (the same), `["text", "other"]` (a pair) or a list of such lists. Whatever else it is, the
    task judges.

    Raises:
        InvalidInput: `sequence_malformed`.
    """
    if not isinstance(inputs, list) or not inputs:
        return inputs
    if not isinstance(inputs[0], list):
        return _only(inputs) if isinstance(inputs[0], str) else inputs
    return [_only(item, index) if isinstance(item, list) else item for index, item in enumerate(inputs)]


def _only(sequence: list[JsonValue], index: int = 0) -> JsonValue:
    if len(sequence) == 2:
        return {"text": sequence[0], "text_pair": sequence[1]}
    if len(sequence) != 1:
        raise InvalidInput("sequence_malformed", index=index, items=len(sequence))
    return sequence[0]


def _model_type(info: ReplicaInfo) -> JsonValue:
    names: JsonObject = {
        "id2label": {str(number): label for number, label in enumerate(info.labels)},
        "label2id": {label: number for number, label in enumerate(info.labels)},
    }
    known: dict[str, JsonObject] = {
        "embedding": {"embedding": {"pooling": "unknown"}},  # workers do not tell
        "text-classification": {"classifier": names},
        "sentiment": {"classifier": names},
        "reranking": {"reranker": names},
    }
    return known.get(info.task, {info.task: names})


def _number(variant: str) -> str:
    precision = variant.rpartition("-")[2]
    return _NUMBERS.get(precision, precision)


def _not_ready(route: EndpointRoute) -> NotReady:
    return NotReady("endpoint_starting", retry_after_s=route.load_s or 2.0)


_CALLS = {
    "embed": (read_embed, operations.EMBED),
    "embed_all": (read_embed_all, operations.EMBED_ALL),
    "predict": (read_predict, operations.PREDICT),
    "rerank": (read_rerank, operations.RERANK),
    "similarity": (read_similarity, operations.SIMILARITY),
    "tokenize": (read_tokenize, operations.TOKENIZE),
    "decode": (read_decode, operations.DECODE),
}
_AT_ROOT = _CALLS | {"rerank": (read_plain_rerank, operations.PLAIN_RERANK)}
_LOOKS = {"info": (show_info, operations.INFO), "health": (show_health, operations.HEALTH)}
DOORS = (
    *(Door(f"/tei/{{endpoint}}/{name}", read=read, post=told) for name, (read, told) in _CALLS.items()),
    *(Door(f"/tei/{{endpoint}}/{name}", show=show, get=told) for name, (show, told) in _LOOKS.items()),
    *(Door(f"/{name}", read=read, post=operations.at_root(told)) for name, (read, told) in _AT_ROOT.items()),
    *(Door(f"/{name}", show=show, get=operations.at_root(told), is_default=True) for name, (show, told) in _LOOKS.items()),
)
