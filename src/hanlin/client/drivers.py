"""Performs the steps of a flow over httpx: one driver blocks, one awaits. No decision is taken here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import TypeVar

import httpx

from hanlin.client.connection import is_loopback
from hanlin.client.steps import Broken, Emit, Flow, Outcome, Read, Reply, Send, Sleep, Step, Work
from hanlin.client.values import JobEvent

T = TypeVar("T")
E = TypeVar("E")
CONNECT_TIMEOUT_S = 5.0
MAX_REPLY_BYTES = 256 * 2**20
LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=64)


def _broken(error: httpx.HTTPError) -> Broken:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError | httpx.UnsupportedProtocol):
        return Broken("connect", str(error))
    return Broken("timeout" if isinstance(error, httpx.TimeoutException) else "cut", str(error))


def _request(client: httpx.Client | httpx.AsyncClient, step: Send) -> httpx.Request:
    timeout = httpx.Timeout(step.timeout_s if step.idle_s is None else step.idle_s, connect=min(CONNECT_TIMEOUT_S, step.timeout_s))
    return client.build_request(
        step.method, step.path, params=dict(step.query) or None, headers=dict(step.headers), content=step.content, timeout=timeout
    )


def _head(response: httpx.Response, content: bytes = b"") -> Reply:
    return Reply(response.status_code, {name.lower(): value for name, value in response.headers.items()}, content)


class Driver:
    """Runs flows, blocking. Safe to share between threads.

    Args:
        transport: replaces the network in tests.
    """

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(base_url=url, limits=LIMITS, transport=transport, trust_env=not is_loopback(url))

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def run(self, flow: Flow[T], on_event: Callable[[JobEvent], None] | None = None) -> T:
        """Run a flow to its end and return its value."""
        events = self.stream(flow, JobEvent)
        try:
            while True:
                event = next(events)
                if on_event:
                    on_event(event)
        except StopIteration as stop:
            value: T = stop.value
            return value
        finally:
            events.close()

    def stream(self, flow: Flow[T], kind: type[E]) -> Generator[E, None, T]:
        """Run a flow and hand out its events, all of type `kind`; the generator returns the flow's value."""
        outcome: Outcome = None
        opened = _Stream()
        try:
            while True:
                try:
                    step = flow.send(outcome)
                except StopIteration as stop:
                    value: T = stop.value
                    return value
                outcome = None
                if isinstance(step, Emit):
                    assert isinstance(step.event, kind)
                    yield step.event
                else:
                    outcome = self._perform(step, opened)
        finally:
            flow.close()
            opened.close()

    def _perform(self, step: Step, opened: _Stream) -> Outcome:
        if isinstance(step, Send):
            opened.close()
            return self._send(step, opened)
        if isinstance(step, Read):
            return opened.read()
        if isinstance(step, Sleep):
            time.sleep(step.seconds)
        elif isinstance(step, Work):
            step.function()
        return None

    def _send(self, step: Send, opened: _Stream) -> Reply | Broken:
        deadline_s = time.monotonic() + step.timeout_s
        try:
            response = self._http.send(_request(self._http, step), stream=True)
            if step.idle_s is not None and response.status_code == 200:
                opened.open(response)
                return _head(response)
            content = bytearray()
            try:
                for chunk in response.iter_bytes():
                    content += chunk
                    if time.monotonic() > deadline_s:
                        return Broken("timeout", "the answer came too slowly")
                    if len(content) > MAX_REPLY_BYTES:
                        return Broken("cut", "the answer is too large")
            finally:
                response.close()
            return _head(response, bytes(content))
        except httpx.HTTPError as error:
            return _broken(error)


class _Stream:
    """The one open answer of a flow, or none."""

    def __init__(self) -> None:
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def open(self, response: httpx.Response) -> None:
        self._response, self._chunks = response, response.iter_bytes()

    def read(self) -> bytes | Broken:
        try:
            return next(self._chunks, b"")
        except httpx.HTTPError as error:
            return _broken(error)

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None


class AsyncDriver:
    """Runs flows on the running asyncio loop.

    Args:
        transport: replaces the network in tests.
    """

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = httpx.AsyncClient(base_url=url, limits=LIMITS, transport=transport, trust_env=not is_loopback(url))

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def run(self, flow: Flow[T], on_event: Callable[[JobEvent], None] | None = None) -> T:
        """Run a flow to its end and return its value."""
        results: list[T] = []
        events = self.stream(flow, JobEvent, results.append)
        try:
            async for event in events:
                if on_event:
                    on_event(event)
        finally:
            await events.aclose()
        return results[0]

    async def stream(self, flow: Flow[T], kind: type[E], on_result: Callable[[T], None] | None = None) -> AsyncGenerator[E, None]:
        """Run a flow and hand out its events, all of type `kind`; its value goes to `on_result`."""
        outcome: Outcome = None
        opened = _AsyncStream()
        try:
            while True:
                try:
                    step = flow.send(outcome)
                except StopIteration as stop:
                    if on_result:
                        on_result(stop.value)
                    return
                outcome = None
                if isinstance(step, Emit):
                    assert isinstance(step.event, kind)
                    yield step.event
                else:
                    outcome = await self._perform(step, opened)
        finally:
            flow.close()
            await opened.close()

    async def _perform(self, step: Step, opened: _AsyncStream) -> Outcome:
        if isinstance(step, Send):
            await opened.close()
            return await self._send(step, opened)
        if isinstance(step, Read):
            return await opened.read()
        if isinstance(step, Sleep):
            await asyncio.sleep(step.seconds)
        elif isinstance(step, Work):
            await asyncio.to_thread(step.function)
        return None

    async def _send(self, step: Send, opened: _AsyncStream) -> Reply | Broken:
        try:
            async with asyncio.timeout(step.timeout_s):
                response = await self._http.send(_request(self._http, step), stream=True)
                if step.idle_s is not None and response.status_code == 200:
                    opened.open(response)
                    return _head(response)
                content = bytearray()
                try:
                    async for chunk in response.aiter_bytes():
                        content += chunk
                        if len(content) > MAX_REPLY_BYTES:
                            return Broken("cut", "the answer is too large")
                finally:
                    await response.aclose()
                return _head(response, bytes(content))
        except TimeoutError:
            return Broken("timeout", "the answer came too slowly")
        except httpx.HTTPError as error:
            return _broken(error)


class _AsyncStream:
    """The one open answer of a flow, or none."""

    def __init__(self) -> None:
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    def open(self, response: httpx.Response) -> None:
        self._response, self._chunks = response, response.aiter_bytes()

    async def read(self) -> bytes | Broken:
        if self._response is None or self._chunks is None:
            return b""
        try:
            return await anext(self._chunks, b"")
        except httpx.HTTPError as error:
            return _broken(error)

    async def close(self) -> None:
        if self._response is not None:
            await self._response.aclose()
            self._response = None
