"""The one way of a request behind every door: who asks, whether now, mask, route, unmask, journal. Knows no protocol.

Lives on an event loop. `start` begins to follow the reconciler's routes; until it has found some, nothing is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, cast

from hanlin.errors import Conflict, NotFound, Overloaded
from hanlin.gateway import ports
from hanlin.gateway.document_sets import DocumentSets
from hanlin.gateway.narrowing import Searching, is_searched, narrowed
from hanlin.gateway.parts import Parts
from hanlin.gateway.peers import Peers, Poison, Withdraw
from hanlin.gateway.response_cache import ResponseCache, cache_key
from hanlin.serving.demand import DemandSender
from hanlin.serving.full_disk import FullDisk
from hanlin.serving.router import Request, Router
from hanlin.serving.routes import EndpointRoute, RoutesWatcher, route_key
from hanlin.serving.wire import CallOperation, Lane, Part
from hanlin.settings import Settings
from hanlin.types import JsonObject, JsonValue, Principal, endpoint_of_model, is_name, serves

_REST_S, _REST_TURNS = 5.0, 100  # how long an endpoint has to fall asleep, and how often it is looked at meanwhile
CacheUse = Literal["", "hit", "miss"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer: JSON text, who gave it, where the time went (milliseconds), and what was done to texts that were too long.

    `cache`: `hit` when it was kept from an earlier call, `miss` when it was not there, empty where nothing is kept. `tokens`: that were
    read; `cached`: those of them that an engine still knew from an earlier call; `written`: that a network wrote.
    """

    body: bytes
    version: str
    variant: str
    items: int
    tokens: int
    queue_ms: float
    encode_ms: float
    engine_ms: float
    truncated: tuple[int, ...] = ()
    windows: tuple[tuple[int, int], ...] = ()
    decode_ms: float = 0.0
    write_ms: float = 0.0
    cache: CacheUse = ""
    task: str = ""
    written: int = 0
    cached: int = 0


class Dataplane:
    """Authentication, admission and routing of inference calls.

    Args:
        router: given by tests; by default one that follows `<home>/run/routes.json`.
        index: which gateway this is of `settings.gateways`, from 0.
    """

    def __init__(
        self, authenticator: ports.Authenticator, *, settings: Settings, quota: ports.Quota | None = None, mask: ports.Mask | None = None,
        journal: ports.Journal | None = None, documents: ports.DocumentFiles | None = None, responses: ports.Responses | None = None,
        router: Router | None = None, index: int = 0,
    ) -> None:  # fmt: skip
        self.settings = settings
        self._authenticator = authenticator
        self._quota = quota or ports.NoQuota()
        self._mask = mask or ports.NoMask()
        self._journal = journal or ports.NoJournal()
        self._documents = DocumentSets(documents or ports.NoDocuments())
        self.responses: ports.Responses = responses or ports.NoResponses()
        self._follows_routes = router is None
        self._tell = DemandSender(settings.home / "run")
        self.router = router or Router(
            max_waiting=settings.max_concurrency, demand=self._tell, accuse=self._tell.accuse, obstacle=FullDisk(settings.home / "run")
        )
        self.cache: ResponseCache[Outcome] = ResponseCache(settings.response_cache_bytes)
        self.peers = Peers(settings.home / "run", index=index, gateways=settings.gateways)
        self.peers.on_withdraw = self._forget
        self.peers.on_poison = self._refuse
        self.router.on_poison = self.peers.poison  # the other gateways need not lose workers of their own to learn it
        self.inflight = 0
        self.is_draining = False
        self._follower: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow the routes and to listen to the other gateways."""
        if self._follows_routes:
            await self.peers.start()
            self._follower = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Let go of the workers and of the other gateways."""
        await self.peers.stop()
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
        await self.router.close()
        self._tell.close()

    def authenticate(self, header: str | None) -> Principal:
        """The caller. Raises Unauthenticated."""
        return self._authenticator.authenticate(header)

    def find(self, principal: Principal, endpoint: str) -> EndpointRoute:
        """The route of an endpoint the caller may use. Raises NotFound (`endpoint_not_found`), alike for all reasons."""
        return self.router.route(self._key(principal, endpoint))

    def endpoints(self, principal: Principal) -> list[tuple[str, EndpointRoute]]:
        """Name and route of each endpoint of the caller's team, but private ones."""
        start, known = route_key(principal.team_id, ""), self.router.keys()
        names = [key.removeprefix(start) for key in known if key.startswith(start)]
        found: list[tuple[str, EndpointRoute]] = []
        for name in names:
            with contextlib.suppress(NotFound):  # what serves is gone, and its trial not yet
                if not name.startswith("."):
                    found.append((name, self.router.route(start + name)))
        return found

    def default_endpoint(self, principal: Principal, task: str = "") -> str:
        """Name of the endpoint for a call that names none: the operator's where it does `task`, else the only one of the team that does.

        Raises:
            NotFound: `no_default_endpoint`.
        """
        known = self.endpoints(principal)
        fit = [name for name, route in known if not task or route.info is None or route.info.task == task]
        fit = fit or [name for name, route in known if route.info is not None and serves(route.info.task, task)]
        if (chosen := self.settings.default_endpoint) in fit:
            return chosen
        if len(fit) != 1:
            raise NotFound("no_default_endpoint", endpoints=len(fit))
        return fit[0]

    async def predict(
        self, principal: Principal, endpoint: str, inputs: JsonValue, parameters: JsonObject, *, timeout_s: float, language: str,
        request_id: str, lane: Lane = "interactive", trace_id: str = "", operation: CallOperation = "answer",
        on_part: Callable[[Part], None] | None = None,
    ) -> Outcome:  # fmt: skip
        """Answer one call. Cancelling the wait cancels the work.

        Args:
            on_part: given the parts of a call that is to be streamed, before its end; must not raise. Nothing kept answers such a call.
                One that fails after a part, or is cancelled, is accounted for what was told.

        Raises:
            HanlinError: PermissionDenied, NotFound, Overloaded, QuotaExceeded, or as the worker refused it.
        """
        principal.require("predict")
        if type(inputs) is dict and "documents" in inputs:
            self.find(principal, endpoint)  # a call that nobody can answer reads and searches nothing
            inputs = await self._documents.filled(principal, inputs)
        if is_searched(inputs, parameters):
            search = Searching(self, principal, timeout_s, language, request_id, lane, trace_id)
            inputs, parameters = await narrowed(inputs, parameters, search)
            timeout_s = search.left_s
        key = self._key(principal, endpoint)
        route = self.router.route(key)
        parts = None if on_part is None else Parts(on_part, self._mask.stream(principal, endpoint))
        record = partial(self._journal.record, principal, endpoint, request_id=request_id, trace_id=trace_id)
        self._admit()
        try:
            self._quota.reserve(principal, endpoint)
            used, is_answered = 0, False
            try:
                hidden = self._mask.mask(principal, endpoint, inputs)
                request = Request(
                    hidden, parameters, timeout_s, str(principal.key_id), "batch" if principal.is_batch else lane, language, operation,
                    None if parts is None else parts.hear,
                )  # fmt: skip
                outcome = await self._answer(principal, key, route, request)
                if parts is not None:
                    parts.end()
                body = self._mask.unmask(principal, endpoint, outcome.body)
                is_cached = outcome.cache == "hit"
                record(items=outcome.items, tokens=outcome.tokens, written=outcome.written, is_cached=is_cached)
                used, is_answered = outcome.tokens + outcome.written, True
            finally:
                if parts is not None and not is_answered:
                    used = parts.account(record)
                self._quota.settle(principal, endpoint, tokens=used, is_answered=is_answered)
        finally:
            self.inflight -= 1
        return outcome if body is outcome.body else replace(outcome, body=body)

    def hidden(self, principal: Principal, endpoint: str, texts: Sequence[str]) -> list[str]:
        """Texts as the worker may see them: what is stored of them."""
        return cast("list[str]", self._mask.mask(principal, endpoint, [*texts])) if texts else []

    def limits(self, principal: Principal, endpoint: str) -> Sequence[ports.Limit]:
        """What the caller's plan allows, and what is left of it."""
        return self._quota.limits(principal, endpoint)

    async def _answer(self, principal: Principal, key: str, route: EndpointRoute, request: Request) -> Outcome:
        is_kept = route.cache_ttl_s and request.operation == "answer" and request.on_part is None
        return await (self._kept(principal, key, route, request) if is_kept else self._ask(key, request))

    async def _ask(self, key: str, request: Request) -> Outcome:
        result = await self.router.submit(key, request)
        answer = result.answer
        return Outcome(
            answer.body, result.info.version, result.info.variant, answer.items, answer.tokens, answer.queue_ms, answer.encode_ms,
            answer.engine_ms, answer.truncated, answer.windows, answer.decode_ms, answer.write_ms, task=result.info.task,
            written=answer.written, cached=answer.cached,
        )  # fmt: skip

    async def _kept(self, principal: Principal, key: str, route: EndpointRoute, request: Request) -> Outcome:
        """A kept answer, else a worker's, which is kept when it comes from what the route named: not from what replaced it meanwhile."""
        digest = cache_key(route, request.inputs, request.parameters)
        found = self.cache.get(principal.team_id, digest, ttl_s=route.cache_ttl_s, endpoint=key)
        if found is not None:
            return found
        outcome = await self._ask(key, request)
        if (outcome.version, outcome.variant) == (route.version, route.variant):
            hit = replace(outcome, queue_ms=0.0, encode_ms=0.0, engine_ms=0.0, decode_ms=0.0, write_ms=0.0, cache="hit")
            self.cache.put(principal.team_id, digest, hit)
        return replace(outcome, cache="miss")

    async def wake(self, principal: Principal, endpoint: str, *, timeout_s: float) -> None:
        """Returns when the endpoint is loaded. Raises NotFound, NotReady, EngineFailed."""
        await self.router.wake(self._key(principal, endpoint), timeout_s)

    async def rest(self, principal: Principal, endpoint: str) -> None:
        """Returns when the endpoint sleeps. Raises NotFound; Conflict (`endpoint_stays_awake`, `endpoint_in_use`)."""
        key = self._key(principal, endpoint)
        if not self.router.route(key).can_sleep:
            raise Conflict("endpoint_stays_awake")
        for turn in range(_REST_TURNS):
            if self.router.route(key).state == "asleep":
                return
            if turn % 10 == 0:  # one may get lost
                self._tell.rest(key)
            await asyncio.sleep(_REST_S / _REST_TURNS)
        raise Conflict("endpoint_in_use")

    async def reports(self, principal: Principal, endpoint: str) -> list[dict[str, float]]:
        """What each worker of an endpoint has counted. Raises NotFound."""
        return [values for _, _, values in await self.router.reports(self._key(principal, endpoint))]

    async def withdraw(self, principal: Principal, endpoint: str, deployment_ids: tuple[str, ...]) -> None:
        """An endpoint was taken away: from now on no gateway answers for it, whatever the routes say yet. Calls in flight end normally."""
        key = route_key(principal.team_id, endpoint)
        self.router.withdraw(key, deployment_ids)
        await self.peers.withdraw(key, deployment_ids)

    def _forget(self, told: Withdraw) -> None:
        self.router.withdraw(told.key, told.deployment_ids)

    def _refuse(self, told: Poison) -> None:
        self.router.poison.refuse(told.mark)

    def _key(self, principal: Principal, endpoint: str) -> str:
        """A fine-tuned model may be named as OpenAI does. Private endpoints begin with a dot and are for `admin` keys of their own team."""
        endpoint = endpoint_of_model(endpoint)
        is_private = endpoint.startswith(".")
        if not is_name(endpoint.removeprefix(".")) or (is_private and "admin" not in principal.scopes):
            raise NotFound("endpoint_not_found")
        return route_key(principal.team_id, endpoint)

    def _admit(self) -> None:
        """Count a call in; whoever does counts it out."""
        if self.inflight >= self.settings.max_concurrency:
            raise Overloaded("too_many_calls", retry_after_s=1.0, limit=self.settings.max_concurrency)
        self.inflight += 1

    async def _follow(self) -> None:
        watcher = RoutesWatcher(self.settings.home / "run")
        try:
            while True:
                routes = watcher.changed()
                if routes is not None:
                    self.router.update(routes)
                await watcher.wait()
        finally:
            watcher.close()


def check_version(route: EndpointRoute, version: str) -> None:
    """Raises NotFound (`other_version_served`) for another version than the one that the endpoint serves; empty: whichever it is."""
    served = version_of(route.version)
    if version and version != served:
        raise NotFound("other_version_served", served=served)


def version_of(version: str) -> str:
    """The number in `model:number`."""
    return version.rpartition(":")[2]
