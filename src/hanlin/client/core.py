"""Driver and policy of one client, shared by its parts."""

from __future__ import annotations

from dataclasses import replace

from hanlin.client import building, flows
from hanlin.client.connection import find_key
from hanlin.client.drivers import AsyncDriver, Driver
from hanlin.client.flows import Policy
from hanlin.client.steps import Call, T


def make_policy(url: str, key: str | None, *, timeout_s: float, max_retries: int, language: str) -> Policy:
    """How calls to `url` are made: with which key, how long, how often, in which language. Raises Unauthenticated (`key_missing`)."""
    headers = {
        "authorization": f"Bearer {find_key(key)}",
        "user-agent": building.AGENT,
        "accept-language": "zh" if language.startswith("zh") else "en",
    }
    return Policy(url, timeout_s, max_retries, headers=headers)


def changed_policy(policy: Policy, *, timeout_s: float | None, max_retries: int | None) -> Policy:
    """`policy` with what is not None."""
    timeout_s = policy.timeout_s if timeout_s is None else timeout_s
    return replace(policy, timeout_s=timeout_s, max_retries=policy.max_retries if max_retries is None else max_retries)


class Core:
    """The blocking one; safe to share between threads."""

    def __init__(self, driver: Driver, policy: Policy) -> None:
        self.driver = driver
        self.policy = policy

    def call(self, call: Call[T]) -> T:
        """Exchange one call under the policy."""
        return self.driver.run(flows.exchange(call, self.policy))


class AsyncCore:
    """The one for asyncio; belongs to one loop."""

    def __init__(self, driver: AsyncDriver, policy: Policy) -> None:
        self.driver = driver
        self.policy = policy

    async def call(self, call: Call[T]) -> T:
        """Exchange one call under the policy."""
        return await self.driver.run(flows.exchange(call, self.policy))


class Part:
    """What one kind of thing can be asked, over a client's core."""

    def __init__(self, core: Core) -> None:
        self._core = core


class AsyncPart:
    """The same for asyncio."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core
