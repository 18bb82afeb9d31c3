"""From an endpoint's name to an answer: picks a replica, waits for one when there is none, retries when a worker dies.

A call whose worker died is sent again, as a *suspect*: alone in its batch and one suspect at a time and endpoint. When a worker
dies twice under a lone suspect, its input is poison: it is refused, now and when it comes again. Everything waits within the
call's own deadline. Lives on an event loop; knows sockets and frames, nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from hanlin.errors import DeadlineExceeded, EngineFailed, HanlinError, InvalidInput, NotFound, NotReady, Overloaded
from hanlin.serving.channel import Channel, WorkerLost
from hanlin.serving.routes import EndpointRoute, ReplicaRoute, Routes
from hanlin.serving.wire import Answer, Call, Lane, ReplicaInfo
from hanlin.types import JsonObject, JsonValue

MAX_ATTEMPTS = 8
POISON_DEATHS = 2
_POISON_MEMORY = 10_000
_WITHDRAWN_MEMORY = 10_000
_LOOK_S = 1.0  # a call that has waited this long for a replica asks whether one can come at all
_RECONNECT_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Request:
    """A call as the dataplane hands it over. `key` shares the queue fairly, `language` is for refusals."""

    inputs: JsonValue
    parameters: JsonObject
    timeout_s: float
    key: str = ""
    lane: Lane = "interactive"
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Result:
    """An answer and who gave it."""

    answer: Answer
    info: ReplicaInfo


@dataclass(slots=True)
class _Target:
    """An endpoint as this router sees it: its route and the open channels."""

    key: str
    route: EndpointRoute
    channels: dict[ReplicaRoute, Channel] = field(default_factory=dict)
    connecting: dict[ReplicaRoute, asyncio.Task[None]] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    quarantine: asyncio.Lock = field(default_factory=asyncio.Lock)
    num_waiting: int = 0


class Router:
    """Keeps connections to every replica of every route.

    Args:
        max_waiting: calls of one endpoint that may wait for a replica to come.
        obstacle: what keeps replicas from coming at present, asked by calls that wait; None: nothing that is known.
        clock: monotonic seconds.
    """

    def __init__(
        self, *, max_waiting: int = 1024, obstacle: Callable[[], HanlinError | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._max_waiting = max_waiting
        self._obstacle = obstacle
        self._clock = clock
        self._targets: dict[str, _Target] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._poison: OrderedDict[bytes, int] = OrderedDict()
        self._withdrawn: OrderedDict[str, None] = OrderedDict()
        self.has_routes = False
        self.retries_total = 0
        self.deaths_total = 0

    def update(self, routes: Routes) -> None:
        """Take over new routes: connect to new replicas, let go of removed ones once their calls have ended."""
        self.has_routes = True
        endpoints = {key: route for key, route in routes.endpoints.items() if route.deployment_id not in self._withdrawn}
        for key in self._targets.keys() - endpoints.keys():
            self._remove(key)
        for key, route in endpoints.items():
            target = self._targets.setdefault(key, _Target(key, route))
            target.route = route
            self._adjust(target)
            if route.state == "failed":
                target.arrived.set()  # whoever waits is told

    def withdraw(self, key: str, deployment_ids: Iterable[str]) -> None:
        """Endpoint `key` is gone at once; routes that name these deployments are stale from now on. Calls in flight end normally."""
        self._withdrawn.update(dict.fromkeys(deployment_ids))
        while len(self._withdrawn) > _WITHDRAWN_MEMORY:
            self._withdrawn.popitem(last=False)
        target = self._targets.get(key)
        if target is not None and target.route.deployment_id in self._withdrawn:
            self._remove(key)

    def route(self, key: str) -> EndpointRoute:
        """The route of an endpoint. Raises NotFound (`endpoint_not_found`)."""
        try:
            return self._targets[key].route
        except KeyError:
            raise NotFound("endpoint_not_found") from None

    def keys(self) -> list[str]:
        """All endpoints."""
        return sorted(self._targets)

    async def submit(self, key: str, request: Request) -> Result:
        """The answer of some replica of endpoint `key`.

        Raises:
            HanlinError: the worker's refusal; NotFound (`endpoint_not_found`); NotReady (`endpoint_starting`);
                DeadlineExceeded; InvalidInput (`poison_input`); EngineFailed (`worker_died`, `endpoint_failed`); or the obstacle.
        """
        self.route(key)
        target = self._targets[key]
        content = msgspec.msgpack.encode([request.inputs, request.parameters])
        if self._poison:
            self._check_poison(self._mark(target, content))
        deadline_s = self._clock() + request.timeout_s
        try:
            return await self._attempt(target, request, content, deadline_s, is_suspect=False)
        except WorkerLost:
            pass
        return await self._retry(target, request, content, deadline_s)

    async def reports(self) -> list[tuple[str, ReplicaInfo, dict[str, float]]]:
        """Counters of every reachable worker: endpoint, what it is, values."""
        found: list[tuple[str, ReplicaInfo, dict[str, float]]] = []
        for key, target in list(self._targets.items()):
            for channel in list(target.channels.values()):
                with contextlib.suppress(WorkerLost, TimeoutError):
                    found.append((key, channel.info, await asyncio.wait_for(channel.report(), 1.0)))
        return found

    async def close(self) -> None:
        """Hang up everywhere."""
        for target in self._targets.values():
            for task in target.connecting.values():
                task.cancel()
            for channel in target.channels.values():
                channel.close()
        self._targets.clear()
        for closing in list(self._closing):
            closing.cancel()

    async def _retry(self, target: _Target, request: Request, content: bytes, deadline_s: float) -> Result:
        mark = self._mark(target, content)
        for _ in range(MAX_ATTEMPTS):
            self.retries_total += 1
            async with _within(target.quarantine, deadline_s - self._clock()):
                try:
                    return await self._attempt(target, request, content, deadline_s, is_suspect=True)
                except WorkerLost:
                    self._blame(mark)
            self._check_poison(mark)
        raise EngineFailed("worker_died")

    async def _attempt(self, target: _Target, request: Request, content: bytes, deadline_s: float, *, is_suspect: bool) -> Result:
        while True:
            channel = _freest(target) or await self._channel(target, deadline_s)
            left_s = deadline_s - self._clock()
            call = Call(
                channel.next_id(), msgspec.Raw(content), left_s, request.key, request.lane, request.language, is_suspect,
                target.route.long_text,
            )  # fmt: skip
            try:
                # The worker keeps the deadline; the margin here is for a worker that hangs.
                answer = await channel.call(call, len(content), timeout_s=left_s + 1.0)
            except TimeoutError:
                raise DeadlineExceeded("deadline_exceeded") from None
            except NotReady as error:
                if error.code != "worker_draining":
                    raise
                target.channels = {route: other for route, other in target.channels.items() if other is not channel}
                self._let_go(channel)
                continue
            return Result(answer, channel.info)

    async def _channel(self, target: _Target, deadline_s: float) -> Channel:
        """The freest replica; waits for one. Raises as `submit` says."""
        while True:
            if (channel := _freest(target)) is not None:
                return channel
            if self._targets.get(target.key) is not target:
                raise NotFound("endpoint_not_found")
            if target.route.state == "failed":
                raise EngineFailed("endpoint_failed")
            if target.num_waiting >= self._max_waiting:
                raise Overloaded("too_many_waiting", retry_after_s=1.0, limit=self._max_waiting)
            target.num_waiting += 1
            target.arrived.clear()
            try:
                async with asyncio.timeout(max(0.0, min(_LOOK_S, deadline_s - self._clock()))):
                    await target.arrived.wait()
            except TimeoutError:
                if (obstacle := self._obstacle()) is not None:
                    raise obstacle from None
                if self._clock() >= deadline_s:
                    raise NotReady("endpoint_starting", retry_after_s=2.0) from None
            finally:
                target.num_waiting -= 1

    def _remove(self, key: str) -> None:
        target = self._targets.pop(key)
        target.route = msgspec.structs.replace(target.route, replicas=())
        self._adjust(target)
        target.arrived.set()  # whoever waits finds it gone

    def _adjust(self, target: _Target) -> None:
        wanted = set(target.route.replicas)
        for replica in target.connecting.keys() - wanted:
            target.connecting.pop(replica).cancel()
        for replica in target.channels.keys() - wanted:
            self._let_go(target.channels.pop(replica))
        for replica in wanted - target.channels.keys() - target.connecting.keys():
            target.connecting[replica] = asyncio.get_running_loop().create_task(self._keep(target, replica))

    async def _keep(self, target: _Target, replica: ReplicaRoute) -> None:
        """Connect to a replica, again and again while it stands in the routes."""
        attempt = 0
        while True:
            try:
                channel = await Channel.connect(replica.socket, replica.token)
            except (OSError, WorkerLost):
                await asyncio.sleep(_RECONNECT_S[min(attempt, len(_RECONNECT_S) - 1)])
                attempt += 1
                continue
            attempt = 0
            target.channels[replica] = channel
            target.arrived.set()
            await asyncio.shield(channel.lost)
            if target.channels.get(replica) is channel:
                del target.channels[replica]
                self.deaths_total += 1
            await asyncio.sleep(_RECONNECT_S[0])

    def _let_go(self, channel: Channel) -> None:
        task = asyncio.get_running_loop().create_task(_close_when_idle(channel))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _mark(self, target: _Target, content: bytes) -> bytes:
        return hashlib.sha256(f"{target.route.version}\0{target.route.variant}\0".encode() + content).digest()

    def _blame(self, mark: bytes) -> None:
        self._poison[mark] = self._poison.pop(mark, 0) + 1
        while len(self._poison) > _POISON_MEMORY:
            self._poison.popitem(last=False)

    def _check_poison(self, mark: bytes) -> None:
        if self._poison.get(mark, 0) >= POISON_DEATHS:
            raise InvalidInput("poison_input")


def _freest(target: _Target) -> Channel | None:
    """The replica with the fewest outstanding bytes; None while there is none."""
    open_channels = [channel for channel in target.channels.values() if channel.is_open]
    if len(open_channels) < 2:
        return open_channels[0] if open_channels else None
    return min(open_channels, key=lambda channel: (channel.pending_bytes, channel.num_pending))


@contextlib.asynccontextmanager
async def _within(lock: asyncio.Lock, timeout_s: float) -> AsyncIterator[None]:
    """Hold `lock`. Raises DeadlineExceeded when it is not to be had in time."""
    try:
        async with asyncio.timeout(max(0.0, timeout_s)):
            await lock.acquire()
    except TimeoutError:
        raise DeadlineExceeded("deadline_exceeded") from None
    try:
        yield
    finally:
        lock.release()


async def _close_when_idle(channel: Channel) -> None:
    while channel.num_pending and channel.is_open:
        await asyncio.sleep(0.01)
    channel.close()
