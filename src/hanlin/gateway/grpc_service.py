"""`inference.GRPCInferenceService`: the Open Inference Protocol over gRPC. Messages become calls of the dataplane here, as bodies do in
`oip_door`; what they hold is read and made by `oip_tensors` and `oip_models`.

Loads grpc and protobuf (10 MB): only a gateway that serves it imports this module.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

import grpc
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError, Message

from hanlin.errors import HanlinError, Internal, InvalidInput
from hanlin.gateway import oip_models, strict_json
from hanlin.gateway.dataplane import Dataplane, Outcome, check_version, version_of
from hanlin.gateway.grpc_caller import Caller, abort, caller_of, message_of
from hanlin.gateway.oip_bounds import MAX_NUMBERS, check_fields, check_length, check_outputs, check_tensors
from hanlin.gateway.oip_outputs import check_known, outputs_of
from hanlin.gateway.oip_tensors import Given, inputs_of, packed, text_of, unpacked
from hanlin.gateway.proto import open_inference_pb2 as pb
from hanlin.gateway.status import http_status
from hanlin.observe import logs
from hanlin.serving.routes import EndpointRoute
from hanlin.types import JsonObject, JsonValue, Principal, shorten

SERVICE = "inference.GRPCInferenceService"
Asked = TypeVar("Asked", bound=Message)
_CONTENTS = {"INT64": "int64_contents", "INT32": "int_contents"}
_SMALL_BYTES = 64 * 2**10  # what fits in there becomes a few megabytes at most
_OPEN = frozenset({"ServerLive", "ServerReady", "ServerMetadata"})  # for whoever has no key too

_log = logging.getLogger("hanlin.gateway")


class Record(Protocol):
    """Told of a call that has ended: its address, the status as HTTP has it, how long it took, and its names."""

    def __call__(self, route: str, status: int, seconds: float, request_id: str, /, *, trace_id: str) -> None: ...  # noqa: D102


class InferenceService:
    """The methods.

    Args:
        record: told of each call that has ended.
    """

    def __init__(self, dataplane: Dataplane, record: Record) -> None:
        self._dataplane = dataplane
        self._record = record

    def handler(self) -> Any:
        """For `add_generic_rpc_handlers`. Bytes go in and out: what does not parse gets an answer of ours."""
        methods: dict[str, tuple[type[Message], Callable[[Any, Caller], Awaitable[Message]]]] = {
            "ServerLive": (pb.ServerLiveRequest, self._live), "ServerReady": (pb.ServerReadyRequest, self._ready),
            "ServerMetadata": (pb.ServerMetadataRequest, self._server), "ModelReady": (pb.ModelReadyRequest, self._model_ready),
            "ModelMetadata": (pb.ModelMetadataRequest, self._metadata), "ModelConfig": (pb.ModelConfigRequest, self._config),
            "ModelStatistics": (pb.ModelStatisticsRequest, self._statistics), "ModelInfer": (pb.ModelInferRequest, self._infer),
            "RepositoryIndex": (pb.RepositoryIndexRequest, self._index),
            "RepositoryModelLoad": (pb.RepositoryModelLoadRequest, self._load),
            "RepositoryModelUnload": (pb.RepositoryModelUnloadRequest, self._unload),
        }  # fmt: skip
        made = {name: grpc.stream_unary_rpc_method_handler(self._guarded(name, *method)) for name, method in methods.items()}
        return grpc.method_handlers_generic_handler(SERVICE, made)

    def _guarded(
        self, name: str, kind: type[Asked], method: Callable[[Asked, Caller], Awaitable[Message]]
    ) -> Callable[[object, Any], Awaitable[bytes]]:  # fmt: skip
        """The method as gRPC calls it: the outermost handler, where whatever escapes becomes a status.

        To the library it is one with a stream of messages, of which it takes the first: it begins with the head alone, so that the key is
        known before a message takes memory, and a message that does not come is waited for no longer than a body over HTTP.
        """

        route, body_timeout_s = f"/{SERVICE}/{name}", self._dataplane.settings.body_timeout_s

        async def answer(_messages: object, context: Any) -> bytes:
            begun_s, status = time.perf_counter(), 499
            caller = caller_of(context)
            try:
                with logs.request_id(caller.request_id):
                    if name not in _OPEN:
                        caller.principal = self._dataplane.authenticate(caller.authorization)
                    raw = await message_of(context, body_timeout_s)
                    made = (await method(_parsed(kind, raw), caller)).SerializeToString()
                status = 200
                context.set_trailing_metadata(caller.trailers)
                return made
            except HanlinError as error:
                status = http_status(error)
                if error.details:
                    _log.warning(error.code, extra={"details": error.details})
                return await abort(context, error, caller)
            except asyncio.CancelledError:  # the caller has gone, or its deadline has passed
                raise
            except Exception:
                status = 500
                _log.exception("a method failed")
                return await abort(context, Internal("internal"), caller)
            finally:
                self._record(route, status, time.perf_counter() - begun_s, caller.request_id, trace_id=caller.trace_id)

        return answer

    def _find(self, caller: Caller, endpoint: str, version: str) -> tuple[Principal, EndpointRoute]:
        """Raises NotFound."""
        principal = _who(caller)
        route = self._dataplane.find(principal, endpoint)
        check_version(route, version)
        return principal, route

    async def _live(self, _request: pb.ServerLiveRequest, _caller: Caller) -> Message:
        return pb.ServerLiveResponse(live=True)

    async def _ready(self, _request: pb.ServerReadyRequest, _caller: Caller) -> Message:
        return pb.ServerReadyResponse(ready=oip_models.is_server_ready(self._dataplane))

    async def _server(self, _request: pb.ServerMetadataRequest, _caller: Caller) -> Message:
        return ParseDict(oip_models.server(), pb.ServerMetadataResponse())

    async def _model_ready(self, request: pb.ModelReadyRequest, caller: Caller) -> Message:
        return pb.ModelReadyResponse(ready=oip_models.is_ready(self._find(caller, request.name, request.version)[1]))

    async def _metadata(self, request: pb.ModelMetadataRequest, caller: Caller) -> Message:
        _, route = self._find(caller, request.name, request.version)
        return ParseDict(oip_models.metadata(request.name, route), pb.ModelMetadataResponse())

    async def _config(self, request: pb.ModelConfigRequest, caller: Caller) -> Message:
        _, route = self._find(caller, request.name, request.version)
        return ParseDict({"config": oip_models.config(request.name, route)}, pb.ModelConfigResponse())

    async def _statistics(self, request: pb.ModelStatisticsRequest, caller: Caller) -> Message:
        principal = self._find(caller, request.name, request.version)[0] if request.name else _who(caller)
        return ParseDict(await oip_models.statistics(self._dataplane, principal, request.name), pb.ModelStatisticsResponse())

    async def _index(self, request: pb.RepositoryIndexRequest, caller: Caller) -> Message:
        found = oip_models.index(self._dataplane, _who(caller), is_ready_only=request.ready)
        return ParseDict({"models": list[JsonValue](found)}, pb.RepositoryIndexResponse())

    async def _load(self, request: pb.RepositoryModelLoadRequest, caller: Caller) -> Message:
        principal = _who(caller)
        oip_models.check_order(dict.fromkeys(request.parameters))
        await oip_models.load(self._dataplane, principal, request.model_name, timeout_s=caller.timeout_s)
        return pb.RepositoryModelLoadResponse()

    async def _unload(self, request: pb.RepositoryModelUnloadRequest, caller: Caller) -> Message:
        principal = _who(caller)
        oip_models.check_order(dict.fromkeys(request.parameters), "unload_dependents")
        await oip_models.unload(self._dataplane, principal, request.model_name)
        return pb.RepositoryModelUnloadResponse()

    async def _infer(self, request: pb.ModelInferRequest, caller: Caller) -> Message:
        principal, route = self._find(caller, request.model_name, request.model_version)
        _check_outputs(request)
        if route.info is not None:
            check_known(route.info.task, [output.name for output in request.outputs])
        outcome = await self._dataplane.predict(
            principal, request.model_name, inputs_of(_tensors(request)), _parameters(request.parameters),
            timeout_s=caller.timeout_s or self._dataplane.settings.request_timeout_s, language=caller.language,
            request_id=caller.request_id, trace_id=caller.trace_id,
        )  # fmt: skip
        caller.trailers += _told(outcome)
        return _answer(request, outcome)


def _who(caller: Caller) -> Principal:
    assert caller.principal is not None, "the method is open to all"
    return caller.principal


def _parsed(kind: type[Asked], raw: bytes) -> Asked:
    """Raises InvalidInput (`malformed_message`, for a string that is not UTF-8 too; `invalid_parameter` for fields without end)."""
    if len(raw) > _SMALL_BYTES:
        check_fields(raw)
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise InvalidInput("malformed_message", name=kind.DESCRIPTOR.name) from None


def _tensors(request: pb.ModelInferRequest) -> list[Given]:
    """The inputs. Raises InvalidInput (`invalid_tensor`, `invalid_parameter`, `tensor_too_long`, `text_not_utf8`)."""
    raw, inputs = request.raw_input_contents, request.inputs
    check_tensors(inputs, "inputs")
    if raw and len(raw) != len(inputs):
        raise InvalidInput("invalid_parameter", name="raw_input_contents", expected=f"{len(inputs)} of them", found=str(len(raw)))
    for tensor in inputs:
        _refuse_any(tensor.parameters)
    if raw:
        return [
            Given(tensor.name, tensor.datatype, tensor.shape, cast("JsonValue", unpacked(shorten(tensor.name), tensor.datatype, content)))
            for tensor, content in zip(inputs, raw, strict=True)
        ]
    return [Given(tensor.name, tensor.datatype, tensor.shape, _contents(tensor)) for tensor in inputs]


def _contents(tensor: pb.ModelInferRequest.InferInputTensor) -> JsonValue:
    if tensor.datatype == "BYTES":
        check_length(shorten(tensor.name), len(tensor.contents.bytes_contents))
        return [text_of(value, index) for index, value in enumerate(tensor.contents.bytes_contents)]
    name = _CONTENTS.get(tensor.datatype)
    values: Sequence[int] = getattr(tensor.contents, name) if name else ()
    check_length(shorten(tensor.name), len(values), limit=MAX_NUMBERS)
    return list(values)


def _parameters(sent: Mapping[str, pb.InferParameter]) -> JsonObject:
    """The task's parameters; a string that begins with `[` is a JSON list, for which the protocol has no field."""
    found: JsonObject = {}
    for name, parameter in sent.items():
        kind = parameter.WhichOneof("parameter_choice")
        value: JsonValue = getattr(parameter, kind) if kind else None
        found[name] = strict_json.parse(value.encode()) if isinstance(value, str) and value.startswith("[") else value
    return found


def _refuse_any(parameters: Mapping[str, Any]) -> None:
    """Raises InvalidInput (`unknown_parameter`): shared memory and classification are extensions that are not served."""
    oip_models.check_order(dict.fromkeys(parameters))


def _check_outputs(request: pb.ModelInferRequest) -> None:
    """Raises InvalidInput (`invalid_parameter`, `unknown_parameter`) before work is done."""
    check_outputs(request.outputs)
    for output in request.outputs:
        _refuse_any(output.parameters)


def _answer(request: pb.ModelInferRequest, outcome: Outcome) -> pb.ModelInferResponse:
    made = outputs_of(outcome, [output.name for output in request.outputs])
    told = pb.ModelInferResponse.InferOutputTensor
    return pb.ModelInferResponse(
        model_name=request.model_name, model_version=version_of(outcome.version), id=request.id,
        outputs=[told(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape) for tensor in made],
        raw_output_contents=[packed(tensor) for tensor in made],
    )  # fmt: skip


def _told(outcome: Outcome) -> list[tuple[str, str]]:
    """What HTTP has in headers of an answer."""
    found = [("x-hanlin-model", f"{outcome.version} {outcome.variant}")]
    if outcome.cache:
        found.append(("x-hanlin-cache", outcome.cache))
    if outcome.truncated:
        found.append(("x-hanlin-truncated", ",".join(map(str, outcome.truncated))))
    if outcome.windows:
        found.append(("x-hanlin-windows", ",".join(f"{index}={count}" for index, count in outcome.windows)))
    return found
