"""From an endpoint's name to an answer: picks a replica, waits for one when there is none, retries when a worker dies.

A call whose worker died is sent again, as a *suspect*: alone in its batch, and one suspect at a time of all endpoints that may share a
worker process. When a worker dies twice under a lone suspect, its input is poison: it is refused, now and when it comes again.
A call of which a part was given is never sent again: it ends broken.
Everything waits within the call's own deadline. Lives on an event loop; knows sockets and frames, nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import msgspec

from hanlin.errors import DeadlineExceeded, EngineFailed, HanlinError, Internal, NotFound, NotReady, Overloaded
from hanlin.serving.channel import Channel, WorkerLost
from hanlin.serving.mirror import Mirror
from hanlin.serving.poison import PoisonMemory, mark_of
from hanlin.serving.quarantine import Quarantines
from hanlin.serving.routes import EndpointRoute, Routes, TrialRoute
from hanlin.serving.sending import Request, Sending
from hanlin.serving.target import Target
from hanlin.serving.wire import Answer, Call, ReplicaInfo

__all__ = ["Request", "Result", "Router"]

MAX_ATTEMPTS = 8
_WITHDRAWN_MEMORY = 10_000
_DEMAND_S = 0.2  # how often an endpoint is asked for while calls wait for it
_NO_ROOM_RETRY_S = 5.0
_LOOK_S = 1.0  # a call that has waited this long for a replica asks whether one can come at all


@dataclass(frozen=True, slots=True)
class Result:
    """An answer and who gave it."""

    answer: Answer
    info: ReplicaInfo


class Router:
    """Keeps connections to every replica of every route.

    Args:
        max_waiting: calls of one endpoint that may wait for a replica to come.
        demand: told the endpoint's key when a call waits for one that sleeps; again while it waits.
        accuse: told the socket of a worker that broke the protocol.
        obstacle: what keeps replicas from coming at present, asked by calls that wait; None: nothing that is known.
        clock: monotonic seconds.
        draw: a number in [0, 1) by chance, for the share of a trial.

    Attributes:
        retries_total: calls sent again because a worker went away.
        deaths_total: workers that went away.
        poison: inputs that are refused.
        on_poison: awaited with the mark of an input that has just become poison, before its call is refused.
        spared_total: calls that a canary failed and the version it is compared with answered.
    """

    def __init__(
        self, *, max_waiting: int = 1024, demand: Callable[[str], None] = lambda _: None, accuse: Callable[[str], None] = lambda _: None,
        obstacle: Callable[[], HanlinError | None] = lambda: None, clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._max_waiting = max_waiting
        self._demand = demand
        self._accuse = accuse
        self._obstacle = obstacle
        self._clock = clock
        self._targets: dict[str, Target] = {}
        self._draw = draw
        self.mirror = Mirror()
        self._quarantines = Quarantines()
        self.poison = PoisonMemory()
        self._withdrawn: OrderedDict[str, None] = OrderedDict()
        self.on_poison: Callable[[bytes], Awaitable[None]] = _tell_nobody
        self.has_routes = False
        self.retries_total = 0
        self.deaths_total = 0
        self.spared_total = 0

    def update(self, routes: Routes) -> None:
        """Take over new routes: connect to new replicas, let go of removed ones once their calls have ended."""
        self.has_routes = True
        found = {key: (key, route) for key, route in routes.endpoints.items()}
        found |= {_trial_key(key, trial): (key, trial.route) for key, route in routes.endpoints.items() for trial in route.trials}
        found = {name: pair for name, pair in found.items() if pair[1].deployment_id not in self._withdrawn}
        for name in self._targets.keys() - found.keys():
            self._targets.pop(name).end()
        for name, (key, route) in found.items():
            if name not in self._targets:
                self._targets[name] = Target(key, route, on_death=self._died, on_lie=self._accuse)
            self._targets[name].update(route)
            if self._targets[name].num_waiting:
                self._wake(self._targets[name])

    def withdraw(self, key: str, deployment_ids: Iterable[str]) -> None:
        """Endpoint `key` is gone at once; routes that name these deployments are stale from now on. Calls in flight end normally."""
        self._withdrawn.update(dict.fromkeys(deployment_ids))
        while len(self._withdrawn) > _WITHDRAWN_MEMORY:
            self._withdrawn.popitem(last=False)
        for name, target in list(self._targets.items()):
            if target.endpoint == key and target.route.deployment_id in self._withdrawn:
                self._targets.pop(name).end()

    def route(self, key: str) -> EndpointRoute:
        """The route of an endpoint. Raises NotFound (`endpoint_not_found`)."""
        try:
            return self._targets[key].route
        except KeyError:
            raise NotFound("endpoint_not_found") from None

    def keys(self) -> list[str]:
        """All endpoints."""
        return sorted({target.endpoint for target in self._targets.values()})

    async def submit(self, key: str, request: Request) -> Result:
        """The answer of some replica of endpoint `key`.

        Raises:
            HanlinError: the worker's refusal; NotFound (`endpoint_not_found`); NotReady (`endpoint_starting`, `no_room_for_endpoint`);
                DeadlineExceeded; InvalidInput (`poison_input`); EngineFailed (`worker_died`, `stream_broken`, `endpoint_failed`); or
                the obstacle.
        """
        self.route(key)
        target = self._targets[key]
        sending = Sending(request, self._clock())
        mark = mark_of(target.route, sending.content) if self.poison.has_any else b""
        if mark:
            self.poison.check(mark)
            if self.poison.is_suspect(mark):
                return await self._send_alone(target, sending)
        for trial in target.route.trials:
            if (result := await self._try(key, trial, sending)) is not None:
                return result
        try:
            return await self._attempt(target, sending, is_suspect=False)
        except WorkerLost:
            if sending.has_begun:
                self.poison.broke(mark_of(target.route, sending.content))
                raise EngineFailed("stream_broken") from None
        self.retries_total += 1
        return await self._send_alone(target, sending)

    async def wake(self, key: str, timeout_s: float) -> None:
        """Returns when an endpoint has a replica; one that sleeps is woken. Raises as `submit`."""
        self.route(key)
        await self._channel(self._targets[key], self._clock() + timeout_s)

    async def reports(self, key: str | None = None) -> list[tuple[str, ReplicaInfo, dict[str, float]]]:
        """Counters of every reachable worker, of one endpoint or of all: endpoint, what it is, values."""
        found: list[tuple[str, ReplicaInfo, dict[str, float]]] = []
        for target in [target for target in self._targets.values() if key in (None, target.endpoint)]:
            for channel in list(target.channels.values()):
                with contextlib.suppress(WorkerLost, TimeoutError):
                    found.append((target.endpoint, channel.info, await asyncio.wait_for(channel.report(), 1.0)))
        return found

    async def close(self) -> None:
        """Hang up everywhere."""
        self.mirror.close()
        for target in self._targets.values():
            target.close()
        self._targets.clear()

    async def _send_alone(self, target: Target, sending: Sending) -> Result:
        """Send a suspect, until it is answered, or poison."""
        mark = mark_of(target.route, sending.content)
        for attempt in range(MAX_ATTEMPTS):
            self.retries_total += attempt > 0
            async with self._quarantines.alone(target.route.quarantine or target.endpoint, sending.left_s(self._clock())):
                try:
                    return await self._attempt(target, sending, is_suspect=True)
                except WorkerLost:
                    await self._blame(mark)
                    if sending.has_begun:
                        raise EngineFailed("stream_broken") from None
            self.poison.check(mark)
        raise EngineFailed("worker_died")

    async def _try(self, key: str, trial: TrialRoute, sending: Sending) -> Result | None:
        """The answer of a canary whose turn it is; None: the call goes where all go. One that hangs has half of the call's time.

        Which calls are drawn is by chance, call by call: by key, one busy key would make a share all or nothing."""
        other = self._targets.get(_trial_key(key, trial))
        if other is None or self._draw() * 100 >= trial.weight:
            return None
        channel, left_s = other.idlest(), sending.left_s(self._clock())
        if trial.role == "shadow":
            if self.mirror.has_room(channel, sending.size_bytes) and channel is not None:
                call = sending.call(channel, left_s, long_text=other.route.long_text)
                self.mirror.send(channel, msgspec.structs.replace(call, lane="batch", is_streamed=False), sending.size_bytes)
            return None
        if channel is None:
            return None
        try:
            call = sending.call(channel, left_s / 2, long_text=other.route.long_text)
            return await self._ask(channel, call, sending, margin_s=min(1.0, left_s / 4))
        except (WorkerLost, EngineFailed, Internal, NotReady, Overloaded, DeadlineExceeded) as error:
            if sending.has_begun:
                raise EngineFailed("stream_broken") if isinstance(error, WorkerLost) else error from None
            self.spared_total += 1
            return None

    async def _attempt(self, target: Target, sending: Sending, *, is_suspect: bool) -> Result:
        while True:
            channel = target.idlest() or await self._channel(target, sending.deadline_s)
            left_s = sending.left_s(self._clock())
            call = sending.call(channel, left_s, long_text=target.route.long_text, is_suspect=is_suspect)
            try:
                return await self._ask(channel, call, sending, margin_s=1.0)
            except NotReady as error:
                if error.code != "worker_draining":
                    raise
                target.drop(channel)

    async def _ask(self, channel: Channel, call: Call, sending: Sending, *, margin_s: float) -> Result:
        try:
            # The worker keeps the deadline; the margin here is for a worker that hangs.
            answer = await channel.call(call, sending.size_bytes, timeout_s=call.timeout_s + margin_s, on_part=sending.hear)
            return Result(answer, channel.info)
        except TimeoutError:
            raise DeadlineExceeded("deadline_exceeded") from None

    async def _channel(self, target: Target, deadline_s: float) -> Channel:
        """The freest replica; waits for one. Raises as `submit` says."""
        while True:
            if (channel := target.idlest()) is not None:
                return channel
            if self._targets.get(target.endpoint) is not target:
                raise NotFound("endpoint_not_found")
            if target.route.state == "failed":
                raise EngineFailed("endpoint_failed")
            if target.num_waiting >= self._max_waiting:
                raise Overloaded("too_many_waiting", retry_after_s=1.0, limit=self._max_waiting)
            self._wake(target)
            target.num_waiting += 1
            target.arrived.clear()
            try:
                async with asyncio.timeout(max(0.0, min(_LOOK_S, deadline_s - self._clock()))):
                    await target.arrived.wait()
            except TimeoutError:
                if (obstacle := self._obstacle()) is not None:
                    raise obstacle from None
                if target.route.lacks_room:
                    raise NotReady("no_room_for_endpoint", retry_after_s=_NO_ROOM_RETRY_S) from None
                if self._clock() >= deadline_s:
                    raise NotReady("endpoint_starting", retry_after_s=target.route.load_s or 2.0) from None
            finally:
                target.num_waiting -= 1

    def _wake(self, target: Target) -> None:
        """Tell that an endpoint that sleeps is called; one of many calls speaks for all."""
        if target.route.state == "asleep" and self._clock() - target.demanded_s >= _DEMAND_S:
            target.demanded_s = self._clock()
            self._demand(target.endpoint)

    def _died(self) -> None:
        self.deaths_total += 1

    async def _blame(self, mark: bytes) -> None:
        if self.poison.blame(mark):
            await self.on_poison(mark)


async def _tell_nobody(_mark: bytes) -> None:
    """There is no other gateway."""


def _trial_key(key: str, trial: TrialRoute) -> str:
    """Name of a trial's target; no endpoint has a # in its name."""
    return f"{key}#{trial.route.deployment_id}"
