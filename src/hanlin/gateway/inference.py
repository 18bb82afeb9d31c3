"""`POST /models/{endpoint}` in the Hugging Face shape, and `GET` of what an endpoint is."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from hanlin.errors import InvalidInput
from hanlin.gateway import hf_door, strict_json
from hanlin.gateway import inference_operations as operations
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.door import Ask, Door
from hanlin.gateway.example import with_own_labels
from hanlin.gateway.fields import flag
from hanlin.gateway.hf_stream import streamed
from hanlin.gateway.responses import header_text
from hanlin.types import JsonObject, Principal, shorten

_FIELDS = ("inputs", "parameters", "stream")
_HUB = b"hf_hub/"
_MAX_TASK = 64  # characters of a task's name in a header


def read(body: bytes, endpoint: str, headers: Mapping[bytes, bytes]) -> Ask:
    """See `door.ReadFramed`. huggingface_hub's clients, which say who they are, are served here as at their own door."""
    if _HUB in headers.get(b"user-agent", b""):
        return hf_door.read(body, endpoint)
    value = strict_json.parse_object(body, allowed=_FIELDS, required=("inputs",))
    parameters = value.get("parameters")
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        raise InvalidInput("parameters_not_an_object")
    if flag(value, "stream", default=False):
        return streamed(endpoint, value["inputs"], parameters)
    return Ask(endpoint, value["inputs"], parameters, _task(headers))


def _task(headers: Mapping[bytes, bytes]) -> str:
    """The task that the caller reads the answer as, safe to be told in an error; empty: any."""
    text = header_text(headers.get(b"x-hanlin-task")) or ""
    return text if text.isascii() and text.isprintable() and len(text) <= _MAX_TASK else shorten(text)


def describe(dataplane: Dataplane, principal: Principal, endpoint: str) -> Response:
    """What the endpoint serves."""
    route = dataplane.find(principal, endpoint)
    answer: JsonObject = {"endpoint": endpoint, "model": route.model, "version": route.version, "variant": route.variant}
    answer |= {"state": route.state, "long_text": route.long_text, "cache_ttl_s": route.cache_ttl_s}
    if route.info is not None:
        answer |= {"task": route.info.task, "labels": list(route.info.labels), "languages": list(route.info.languages)}
        if route.info.dimensions:
            answer["dimensions"] = route.info.dimensions
        answer["limits"] = {
            "max_length": route.info.max_length, "max_items": route.info.max_items, "max_text_bytes": route.info.max_text_bytes,
            "max_body_bytes": dataplane.settings.max_body_bytes,
        }  # fmt: skip
        answer["protections"] = list(route.info.protections)
        answer["example"] = with_own_labels(msgspec.json.decode(route.info.example), route.info.labels)
        answer["schema"] = msgspec.json.decode(route.info.schema)
    return Response(msgspec.json.encode(answer), media_type="application/json")


DOORS = (Door("/models/{endpoint}", read_framed=read, show=describe, post=operations.predict, get=operations.DESCRIBE),)
