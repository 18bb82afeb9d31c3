"""The Open Inference Protocol, version 2, over REST: below `/v2`. Tensors are read and made by `oip_tensors`.

Source: kserve/open-inference-protocol; extensions of triton-inference-server/server, `docs/protocol`: binary data, model
configuration, statistics, model repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import cast

import msgspec
from starlette.responses import Response

from hanlin.errors import InvalidInput, NotReady
from hanlin.gateway import oip_models, strict_json
from hanlin.gateway import oip_operations as operations
from hanlin.gateway.dataplane import Dataplane, Outcome, version_of
from hanlin.gateway.door import Act, Ask, Door, Framed, Manner, Write
from hanlin.gateway.fields import flag
from hanlin.gateway.fields import text as text_field
from hanlin.gateway.oip_bounds import output_twice
from hanlin.gateway.oip_outputs import check_known, outputs_of
from hanlin.gateway.oip_tensors import Given, Made, inputs_of, packed, unpacked
from hanlin.gateway.operation import Operation
from hanlin.gateway.responses import flat_error_body
from hanlin.serving.routes import EndpointRoute
from hanlin.types import JsonObject, JsonValue, Principal, json_type, shorten

_HEAD = b"inference-header-content-length"
_MANNER = Manner(frozenset({b"application/json", b"application/octet-stream", b""}), flat_error_body)
_FIELDS = ("id", "parameters", "inputs", "outputs", "model_name")
_INPUT = ("name", "shape", "datatype", "parameters", "data")
_OUTPUT = ("name", "parameters")
_OCTETS = (b"content-type", b"application/octet-stream")


def read_infer(body: bytes, endpoint: str, headers: Mapping[bytes, bytes]) -> Ask:
    """See `door.ReadFramed`: JSON, and behind it the binary tensors in the order of the inputs."""
    length = _head_length(headers, len(body))
    value = strict_json.parse_object(body[:length], allowed=_FIELDS, required=("inputs",))
    if value.get("model_name") not in (None, endpoint):  # KServe's client says it again
        raise InvalidInput("invalid_parameter", name="model_name", expected="the endpoint of the address", found="another")
    parameters = _object(value, "parameters")
    is_binary = flag(parameters, "binary_data_output", default=False)
    rest = {name: item for name, item in parameters.items() if name != "binary_data_output"}
    request_id = text_field(value, "id") if value.get("id") is not None else ""
    asked = _outputs(value, is_binary=is_binary)
    inputs = inputs_of(_inputs(value["inputs"], body, length))
    check = partial(check_known, asked=tuple(asked)) if asked else None
    return Ask(endpoint, inputs, rest, write=_writer(endpoint, request_id, asked, is_binary=is_binary), check=check)


def _head_length(headers: Mapping[bytes, bytes], size: int) -> int:
    """Bytes of the JSON. Raises InvalidInput (`invalid_parameter`)."""
    told = headers.get(_HEAD)
    if told is None:
        return size
    if not (told.isdigit() and len(told) < 16 and int(told) <= size):
        raise InvalidInput("invalid_parameter", name=_HEAD.decode(), expected=f"an integer from 0 to {size}", found="another value")
    return int(told)


def _inputs(inputs: JsonValue, body: bytes, place: int) -> list[Given]:
    """The tensors, those in binary form cut from `body` behind `place`."""
    found: list[Given] = []
    for item in _objects(inputs, "inputs", _INPUT, required=("name", "shape", "datatype")):
        name, datatype, shape = text_field(item, "name"), text_field(item, "datatype"), _shape(item)
        size = _object(item, "parameters", allowed=("binary_data_size",)).get("binary_data_size")
        if size is None:
            found.append(Given(name, datatype, shape, _flat(item.get("data"), len(shape))))
            continue
        if type(size) is not int or not 0 <= size <= len(body) - place:
            raise InvalidInput("invalid_parameter", name="binary_data_size", expected="the size of what follows", found=json_type(size))
        if "data" in item:
            raise InvalidInput("invalid_parameter", name="data", expected="absent beside binary_data_size", found="both of them")
        found.append(Given(name, datatype, shape, unpacked(shorten(name), datatype, body[place : place + size])))
        place += size
    if place != len(body):
        raise InvalidInput("invalid_parameter", name="binary_data_size", expected="the size of all that follows", found="less")
    return found


def _outputs(value: JsonObject, *, is_binary: bool) -> dict[str, bool]:
    """Whether each output that is wanted shall be in binary form; empty: all are wanted."""
    asked: dict[str, bool] = {}
    outputs = value.get("outputs")
    for item in _objects([] if outputs is None else outputs, "outputs", _OUTPUT, required=("name",)):
        own, name = _object(item, "parameters", allowed=("binary_data",)), text_field(item, "name")
        if name in asked:
            raise output_twice()
        asked[name] = flag(own, "binary_data", default=is_binary)
    return asked


def _writer(endpoint: str, request_id: str, asked: dict[str, bool], *, is_binary: bool) -> Write:
    def write(outcome: Outcome) -> bytes | Framed:
        head: dict[str, object] = {"model_name": endpoint, "model_version": version_of(outcome.version)}
        if request_id:
            head["id"] = request_id
        tails: list[bytes] = []
        made = outputs_of(outcome, tuple(asked))
        text = msgspec.json.encode({**head, "outputs": [_told(item, tails, is_binary=asked.get(item.name, is_binary)) for item in made]})
        if not tails:
            return text
        return Framed(b"".join((text, *tails)), [_OCTETS, (_HEAD, b"%d" % len(text))])

    return write


def _told(tensor: Made, tails: list[bytes], *, is_binary: bool) -> dict[str, object]:
    told: dict[str, object] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
    if not is_binary:
        return told | {"data": tensor.values}
    tails.append(packed(tensor))
    return told | {"parameters": {"binary_data_size": len(tails[-1])}}


def _objects(value: JsonValue, name: str, allowed: tuple[str, ...], *, required: tuple[str, ...]) -> list[JsonObject]:
    """A list of objects of known fields. Raises InvalidInput (`invalid_parameter`, `unknown_field`, `missing_field`)."""
    if not isinstance(value, list):
        raise InvalidInput("invalid_parameter", name=name, expected="a list of objects", found=json_type(value))
    for item in value:
        if not isinstance(item, dict):
            raise InvalidInput("invalid_parameter", name=name, expected="a list of objects", found=json_type(item))
        strict_json.check_fields(item, allowed=allowed, required=required)
    return cast("list[JsonObject]", value)


def _object(value: JsonObject, name: str, *, allowed: tuple[str, ...] | None = None) -> JsonObject:
    """An object; missing or null: an empty one. Raises InvalidInput (`invalid_parameter`, `unknown_field`)."""
    found = value.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidInput("parameters_not_an_object")
    if allowed is not None:
        strict_json.check_fields(found, allowed=allowed, required=())
    return found


def _shape(item: JsonObject) -> list[int]:
    shape = item["shape"]
    if not isinstance(shape, list) or not all(type(length) is int for length in shape):
        raise InvalidInput("invalid_tensor", name=shorten(str(item["name"])), expected="a shape of whole numbers", found=json_type(shape))
    return cast("list[int]", shape)


def _flat(data: JsonValue, rank: int) -> JsonValue:
    """Values in row-major order of data that is flat or nested as its shape is; whatever else it is, as it is."""
    for _ in range(rank - 1):
        if isinstance(data, list) and data and all(isinstance(row, list) for row in data):
            data = [value for row in data for value in cast("list[JsonValue]", row)]
    return data


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _ready(dataplane: Dataplane) -> Response:
    is_ready = oip_models.is_server_ready(dataplane)
    return _json({"ready": is_ready}, 200 if is_ready else 503)


def show_metadata(dataplane: Dataplane, principal: Principal, endpoint: str) -> Response:
    """See `door.Show`."""
    return _json(oip_models.metadata(endpoint, dataplane.find(principal, endpoint)))


def show_config(dataplane: Dataplane, principal: Principal, endpoint: str) -> Response:
    """See `door.Show`."""
    return _json(oip_models.config(endpoint, dataplane.find(principal, endpoint)))


def show_ready(dataplane: Dataplane, principal: Principal, endpoint: str) -> Response:
    """See `door.Show`."""
    route: EndpointRoute = dataplane.find(principal, endpoint)
    if not oip_models.is_ready(route):
        raise NotReady("endpoint_starting", retry_after_s=route.load_s or 2.0)
    return _json({"name": endpoint, "ready": True})


async def show_statistics(dataplane: Dataplane, principal: Principal, endpoint: str) -> Response:
    """See `door.Show`: of all endpoints where the address names none."""
    return _json(await oip_models.statistics(dataplane, principal, endpoint))


async def list_index(dataplane: Dataplane, principal: Principal, _: str, body: bytes) -> Response:
    """See `door.Act`."""
    value = strict_json.parse_object(body or b"{}", allowed=("ready",), required=())
    return _json(oip_models.index(dataplane, principal, is_ready_only=flag(value, "ready", default=False)))


async def load(dataplane: Dataplane, principal: Principal, endpoint: str, body: bytes) -> Response:
    """See `door.Act`."""
    oip_models.check_order(_order(body))
    await oip_models.load(dataplane, principal, endpoint)
    return _json({})


async def unload(dataplane: Dataplane, principal: Principal, endpoint: str, body: bytes) -> Response:
    """See `door.Act`."""
    oip_models.check_order(_order(body), "unload_dependents")
    await oip_models.unload(dataplane, principal, endpoint)
    return _json({})


def _order(body: bytes) -> JsonObject:
    return _object(strict_json.parse_object(body or b"{}", allowed=("parameters",), required=()), "parameters")


_MODEL, _VERSION = "/v2/models/{endpoint}", "/v2/models/{endpoint}/versions/{version}"


def _act(path: str, act: Act, post: Operation) -> Door:
    return Door(path, act=act, post=post, manner=_MANNER)


DOORS: tuple[Door, ...] = (
    Door("/v2", tell=lambda _: _json(oip_models.server()), get=operations.SERVER, manner=_MANNER),
    Door("/v2/health/live", tell=lambda _: _json({"live": True}), get=operations.LIVE, manner=_MANNER),
    Door("/v2/health/ready", tell=_ready, get=operations.READY, manner=_MANNER),
    Door("/v2/models/stats", show=show_statistics, get=operations.ALL_STATISTICS, manner=_MANNER),
    Door(_MODEL, show=show_metadata, get=operations.METADATA, alias=_VERSION, manner=_MANNER),
    Door(f"{_MODEL}/ready", show=show_ready, get=operations.MODEL_READY, alias=f"{_VERSION}/ready", manner=_MANNER),
    Door(f"{_MODEL}/config", show=show_config, get=operations.CONFIG, alias=f"{_VERSION}/config", manner=_MANNER),
    Door(f"{_MODEL}/stats", show=show_statistics, get=operations.STATISTICS, alias=f"{_VERSION}/stats", manner=_MANNER),
    Door(f"{_MODEL}/infer", read_framed=read_infer, post=operations.INFER, alias=f"{_VERSION}/infer", manner=_MANNER),
    _act("/v2/repository/index", list_index, operations.INDEX),
    _act("/v2/repository/models/{endpoint}/load", load, operations.LOAD),
    _act("/v2/repository/models/{endpoint}/unload", unload, operations.UNLOAD),
)
