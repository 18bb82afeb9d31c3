"""The gRPC server of a gateway: `InferenceService`, `grpc.health.v1` and reflection at one port, in the gateway's own process and loop.

Several gateways share the port by SO_REUSEPORT: grpc takes no socket from outside, so the kernel deals connections out. The supervisor
holds the port (`reserved_port`), so that a gateway that is restarted finds it again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Callable
from functools import partial
from typing import Any

import grpc.aio
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from hanlin.errors import InvalidInput
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.grpc_caller import message_of
from hanlin.gateway.grpc_service import SERVICE, InferenceService
from hanlin.gateway.oip_models import is_server_ready

HEALTH = "grpc.health.v1.Health"
MAX_IDLERS = 64  # streams that only wait: watchers of the health, users of reflection
_LOOK_S = 0.25
_IDLE_S = 30.0  # without a question a reflection stream ends
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class GrpcServer:
    """One gateway's. Made and run on the gateway's event loop.

    Args:
        port: of the settings' host; one that is reserved.
        record: `Edge.record`.
    """

    def __init__(self, dataplane: Dataplane, *, port: int, record: Callable[..., None]) -> None:
        self._dataplane = dataplane
        self._port = port
        self._record = partial(record, "gRPC")
        self._server: Any = None
        self._idlers = _Idlers()

    async def start(self) -> None:
        """Take calls. Raises RuntimeError when the port cannot be had."""
        settings = self._dataplane.settings
        most = settings.max_concurrency + 2 * MAX_IDLERS  # so that those beyond the first hear from us why
        self._server = grpc.aio.server(
            maximum_concurrent_rpcs=most,
            options=[
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", settings.max_body_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", settings.max_header_bytes),
                ("grpc.absolute_max_metadata_size", settings.max_header_bytes),
                ("grpc.max_concurrent_streams", most),
                ("grpc.server_handshake_timeout_ms", int(settings.header_timeout_s * 1000)),
                ("grpc.http2.max_ping_strikes", 2),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_time_ms", 60_000),
                ("grpc.keepalive_timeout_ms", int(settings.write_timeout_s * 1000)),
            ],
        )
        self._server.add_generic_rpc_handlers((InferenceService(self._dataplane, self._record).handler(), self._health()))
        names = (SERVICE, HEALTH, reflection.SERVICE_NAME)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(_Reflection(names, self._idlers), self._server)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self._server.add_insecure_port(f"{host}:{self._port}")
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Take no more calls; those in flight have `grace_s` to end."""
        self._idlers.is_closed = True
        await self._server.stop(grace_s)

    def _health(self) -> Any:
        made = {
            "Check": grpc.stream_unary_rpc_method_handler(self._check, None, health_pb2.HealthCheckResponse.SerializeToString),
            "Watch": grpc.stream_stream_rpc_method_handler(self._watch, None, health_pb2.HealthCheckResponse.SerializeToString),
        }
        return grpc.method_handlers_generic_handler(HEALTH, made)

    def _status(self, service: str) -> int:
        if service not in ("", SERVICE):
            return int(_UNKNOWN)
        return int(_SERVING if is_server_ready(self._dataplane) else _NOT_SERVING)

    async def _check(self, _messages: object, context: Any) -> Any:
        status = self._status(await self._asked(context))
        if status == _UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return health_pb2.HealthCheckResponse(status=status)

    async def _watch(self, _messages: object, context: Any) -> AsyncIterator[Any]:
        async with self._idlers.one(context):
            service = await self._asked(context)
            told = None
            while not self._idlers.is_closed:
                status = self._status(service)
                if status != told:
                    told = status
                    yield health_pb2.HealthCheckResponse(status=status)
                await asyncio.sleep(_LOOK_S)

    async def _asked(self, context: Any) -> str:
        """The service that is asked for. Ends the call with INVALID_ARGUMENT where the bytes are no request, or do not come."""
        try:
            return str(health_pb2.HealthCheckRequest.FromString(await message_of(context, self._dataplane.settings.body_timeout_s)).service)
        except (DecodeError, InvalidInput):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the bytes are no HealthCheckRequest")
            raise AssertionError("abort raises") from None


class _Idlers:
    """Bounds the streams that only wait."""

    def __init__(self) -> None:
        self._num = 0
        self.is_closed = False

    @contextlib.asynccontextmanager
    async def one(self, context: Any) -> AsyncIterator[None]:
        """While one is open. Ends the call with RESOURCE_EXHAUSTED where there are too many."""
        if self._num >= MAX_IDLERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_IDLERS} such streams are open")
        self._num += 1
        try:
            yield
        finally:
            self._num -= 1


class _Reflection(reflection.aio.ReflectionServicer):  # type: ignore[misc]
    """The library's, but for streams without end."""

    def __init__(self, names: tuple[str, ...], idlers: _Idlers) -> None:
        super().__init__(service_names=names)
        self._idlers = idlers

    async def ServerReflectionInfo(  # noqa: N802  # gRPC's name
        self, request_iterator: AsyncIterable[reflection_pb2.ServerReflectionRequest], context: Any
    ) -> AsyncIterator[Any]:
        """See the library."""
        async with self._idlers.one(context):
            async for answer in super().ServerReflectionInfo(_while_asked(request_iterator), context):
                yield answer


async def _while_asked(questions: AsyncIterable[Any]) -> AsyncIterator[Any]:
    """Questions until none has come for a while."""
    asked = aiter(questions)
    while True:
        try:
            async with asyncio.timeout(_IDLE_S):
                question = await anext(asked)
        except (TimeoutError, StopAsyncIteration):
            return
        yield question
