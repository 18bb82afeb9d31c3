"""What one deployment is to a router: its route, and an open channel to every replica that the route names. Lives on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from hanlin.serving.channel import Channel, WorkerLost
from hanlin.serving.routes import EndpointRoute, ReplicaRoute

_RECONNECT_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Target:
    """Connects to what its route names, again and again, and lets go of what it names no longer.

    Args:
        endpoint: name of the endpoint in the routes.
        on_death: called when a replica that is still named has gone.
        on_lie: called with the socket of one that broke the protocol.

    Attributes:
        arrived: set when a channel has opened, or when there is news for whoever waits for one.
        num_waiting: calls that wait for a replica to come.
        demanded_s: when it was last told that they do.
    """

    def __init__(self, endpoint: str, route: EndpointRoute, *, on_death: Callable[[], None], on_lie: Callable[[str], None] = lambda _: None
    ) -> None:  # fmt: skip
        self.endpoint = endpoint
        self.route = route
        self.channels: dict[ReplicaRoute, Channel] = {}
        self.arrived = asyncio.Event()
        self.num_waiting = 0
        self.demanded_s = -1.0
        self._on_death = on_death
        self._on_lie = on_lie
        self._connecting: dict[ReplicaRoute, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def idlest(self) -> Channel | None:
        """The open channel with the fewest outstanding bytes; None when none is open."""
        open_channels = [channel for channel in self.channels.values() if channel.is_open]
        if len(open_channels) < 2:
            return open_channels[0] if open_channels else None
        return min(open_channels, key=lambda channel: (channel.pending_bytes, channel.num_pending))

    def update(self, route: EndpointRoute) -> None:
        """Take over a new route: connect to new replicas, let go of removed ones once their calls have ended."""
        self.route = route
        wanted = set(route.replicas)
        for replica in self._connecting.keys() - wanted:
            self._connecting.pop(replica).cancel()
        for replica in self.channels.keys() - wanted:
            self._let_go(self.channels.pop(replica))
        for replica in wanted - self.channels.keys() - self._connecting.keys():
            self._connecting[replica] = asyncio.get_running_loop().create_task(self._keep(replica))
        if route.state == "failed":
            self.arrived.set()  # whoever waits is told

    def end(self) -> None:
        """It is no longer in the routes: whoever waits finds it gone, calls in flight end normally."""
        self.update(msgspec.structs.replace(self.route, replicas=()))
        self.arrived.set()

    def drop(self, channel: Channel) -> None:
        """The replica at the other end is about to go: it gets no more calls."""
        self.channels = {route: other for route, other in self.channels.items() if other is not channel}
        self._let_go(channel)

    def close(self) -> None:
        """Hang up at once."""
        for task in (*self._connecting.values(), *self._closing):
            task.cancel()
        for channel in self.channels.values():
            channel.close()

    async def _keep(self, replica: ReplicaRoute) -> None:
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
            self.channels[replica] = channel
            self.arrived.set()
            await asyncio.shield(channel.lost)
            if channel.has_lied:
                self._on_lie(replica.socket)
            if self.channels.get(replica) is channel:
                del self.channels[replica]
                self._on_death()
            await asyncio.sleep(_RECONNECT_S[0])

    def _let_go(self, channel: Channel) -> None:
        task = asyncio.get_running_loop().create_task(_close_when_idle(channel))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _close_when_idle(channel: Channel) -> None:
    while channel.num_pending and channel.is_open:
        await asyncio.sleep(0.01)
    channel.close()
