"""The description of the doors of the Open Inference Protocol."""

from __future__ import annotations

from hanlin.gateway.operation import FLAT_ERROR, OF_A_CALL, OF_A_LOOK, Operation, answer_of, body_of
from hanlin.gateway.schemas import FLAG, MAYBE_WORD, TEXT, WHOLE, WORD, many
from hanlin.types import JsonObject

_TAG = "open inference protocol"
_VERSIONED = "The same stands below `/v2/models/{endpoint}/versions/{version}`, where another version than the one served is not found."
_ANYTHING: JsonObject = {"type": "object"}
_SHAPE: JsonObject = many(WHOLE)
_TENSOR: JsonObject = answer_of(name=WORD, datatype=WORD, shape=_SHAPE)
_DATA: JsonObject = {"type": "array"}
_INPUT: JsonObject = body_of("name", "shape", "datatype", name=TEXT, shape=_SHAPE, datatype=WORD, data=_DATA, parameters=_ANYTHING)
_OUTPUT: JsonObject = body_of("name", name=TEXT, parameters=_ANYTHING)
_INDEXED: JsonObject = answer_of(name=WORD, version=WORD, state=WORD, reason=WORD)
_STATS: JsonObject = answer_of(model_stats=many(_ANYTHING))
_OF_AN_ORDER = (*OF_A_CALL, 409)
_ORDER: JsonObject = body_of(parameters={"type": ["object", "null"]})


def _text(*texts: str) -> JsonObject:
    return {"inputs": [{"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}]}


_RANKING: JsonObject = {
    "inputs": [
        {"name": "query", "shape": [1], "datatype": "BYTES", "data": ["How do I return a parcel?"]},
        {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["Our shop opens at nine.", "Send it back within 30 days."]},
    ]
}
SERVER = Operation(
    "oip_server", _TAG, "Name and version of the server, and which extensions it has",
    answer_of(name=WORD, version=WORD, extensions=many(WORD)),
    {"name": "hanlin", "version": "1.0.0", "extensions": ["binary_tensor_data"]}, statuses=(500,), is_open=True, error=FLAT_ERROR,
)  # fmt: skip
_IS: JsonObject = {"type": "boolean"}
LIVE = Operation(
    "oip_live", _TAG, "Whether the server lives", answer_of(live=_IS), {"live": True}, statuses=(500,), is_open=True, error=FLAT_ERROR,
)  # fmt: skip
READY = Operation(
    "oip_ready", _TAG, "Whether the server takes calls; 503 with `ready` false where it does not", answer_of(ready=_IS), {"ready": True},
    statuses=(500,), is_open=True, error=FLAT_ERROR,
)  # fmt: skip
METADATA = Operation(
    "oip_model", _TAG, "The tensors of an endpoint", answer_of(name=WORD, versions=many(WORD), platform=WORD, inputs=many(_TENSOR),
                                                              outputs=many(_TENSOR)),
    {
        "name": "search", "versions": ["3"], "platform": "hanlin_onnx-int8",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": "embedding", "datatype": "FP32", "shape": [-1, -1]}],
    },
    about=_VERSIONED, error=FLAT_ERROR,
)  # fmt: skip
MODEL_READY = Operation(
    "oip_model_ready", _TAG, "Whether an endpoint is loaded; one that sleeps is not, and wakes at the next call",
    answer_of(name=WORD, ready=_IS), {"name": "search", "ready": True}, about=_VERSIONED, error=FLAT_ERROR,
)  # fmt: skip
CONFIG = Operation(
    "oip_config", _TAG, "Task, labels and limits of an endpoint under `parameters`, and its tensors",
    answer_of(name=WORD, parameters=_ANYTHING), about=_VERSIONED, error=FLAT_ERROR,
)  # fmt: skip
STATISTICS = Operation("oip_stats", _TAG, "What the workers of an endpoint have counted", _STATS, about=_VERSIONED, error=FLAT_ERROR)
ALL_STATISTICS = Operation("oip_all_stats", _TAG, "The same of all endpoints", _STATS, statuses=OF_A_LOOK, error=FLAT_ERROR)
INFER = Operation(
    "oip_infer", _TAG, "Texts as BYTES, or token ids as INT64; labels, scores, vectors, spans as tensors", answer_of(
        model_name=WORD, model_version=WORD, outputs=many(_TENSOR)
    ),
    {
        "model_name": "sentiment", "model_version": "3",
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [1, 2], "data": ["positive", "negative"]},
            {"name": "score", "datatype": "FP32", "shape": [1, 2], "data": [0.98, 0.02]},
        ],
    },
    body_of("inputs", id=MAYBE_WORD, parameters=_ANYTHING, inputs=many(_INPUT), outputs={**many(_OUTPUT), "type": ["array", "null"]}),
    {
        "text-classification": _text("The food was wonderful."), "embedding": _text("How do I return a parcel?", "Sending goods back"),
        "token-classification": _text("Ada Lovelace lived in London."), "reranking": _RANKING,
    },
    about=f"Tensors may follow the JSON in binary form (`Inference-Header-Content-Length`). {_VERSIONED}", error=FLAT_ERROR,
)  # fmt: skip
INDEX = Operation(
    "oip_index", _TAG, "The endpoints of your team with their states", many(_INDEXED),
    [{"name": "search", "version": "3", "state": "READY", "reason": ""}], body_of(ready=FLAG), statuses=OF_A_CALL, error=FLAT_ERROR,
)  # fmt: skip
LOAD = Operation("oip_load", _TAG, "Wakes an endpoint that sleeps", _ANYTHING, {}, _ORDER, statuses=_OF_AN_ORDER, error=FLAT_ERROR)
UNLOAD = Operation(
    "oip_unload", _TAG, "Puts an endpoint to sleep that may (`--replicas 0`)", _ANYTHING, {}, _ORDER, statuses=_OF_AN_ORDER,
    error=FLAT_ERROR,
)  # fmt: skip
