"""Deployments and endpoints in the SDK, blocking and for asyncio: `client.deployments`, `client.endpoints`."""

from __future__ import annotations

from hanlin.client import calls, flows
from hanlin.client.core import AsyncPart, Part
from hanlin.client.values import Deployment, Endpoint, Rollback
from hanlin.types import Isolation, LongText


class Deployments(Part):
    """What endpoints shall serve."""

    def create(
        self, model: str, endpoint: str, *, variant: str | None = None, replicas: int | None = None, max_replicas: int | None = None,
        isolation: Isolation | None = None, idle_s: float | None = None, long_text: LongText | None = None, canary: int | None = None,
        shadow: int | None = None, draft: str | None = None,
    ) -> Deployment:  # fmt: skip
        """Declare that `endpoint` serves `model`, or tries it beside what serves: as a `canary` that answers so many percent of the
        calls, or a `shadow` that gets copies of as many. Returns at once, see `wait`. What is None stays as it is.

        Args:
            replicas: loaded copies; 0 lets it sleep while it is not used, and load on the next call.
            isolation: `own` worker process for each copy, or one `shared` with other small models.
            idle_s: with 0 replicas: it sleeps after so long without a call; 0: only when others need the memory.
            long_text: refuse, truncate or window.
            draft: a smaller decoder of the same vocabulary that guesses what comes next, such as `small:2`; empty: none.
        """
        call = calls.create_deployment(
            model, endpoint, variant=variant, replicas=replicas, max_replicas=max_replicas, isolation=isolation, idle_s=idle_s,
            long_text=long_text, canary=canary, shadow=shadow, draft=draft,
        )  # fmt: skip
        return self._core.call(call)

    def list(self) -> list[Deployment]:
        """All deployments."""
        return self._core.call(calls.list_deployments())

    def wait(self, deployment: Deployment, *, timeout: float = 180.0) -> Deployment:
        """Wait until it serves. Raises EngineFailed with the reason when it cannot."""
        return self._core.driver.run(flows.settle(deployment, self._core.policy, timeout_s=timeout))


class Endpoints(Part):
    """Public names."""

    def list(self) -> list[Endpoint]:
        """All endpoints."""
        return self._core.call(calls.list_endpoints())

    def get(self, endpoint: str) -> Endpoint:
        """One endpoint."""
        return self._core.call(calls.get_endpoint(endpoint))

    def update(self, endpoint: str, *, long_text: LongText | None = None, cache_ttl_s: int | None = None) -> Endpoint:
        """Change what becomes of long texts (refuse, truncate, window) and for how long answers are kept (0: not at all)."""
        return self._core.call(calls.update_endpoint(endpoint, long_text=long_text, cache_ttl_s=cache_ttl_s))

    def delete(self, endpoint: str, *, wait: bool = True, timeout: float = 30.0) -> None:
        """Stop serving it and wait until it answers no more. Raises DeadlineExceeded (`undeploy_slow`); it still will go."""
        self._core.call(calls.delete_endpoint(endpoint))
        if wait:
            self._core.driver.run(flows.vanish(endpoint, self._core.policy, timeout_s=timeout))

    def rollback(self, endpoint: str, *, to: str | None = None, expected: str | None = None) -> Rollback:
        """Serve again what it served before, or `to`, a `name:version` that it served once. Asking again changes nothing.

        Args:
            expected: id of the deployment to take back. Raises Conflict (`endpoint_moved_on`) when it is another one by now.
        """
        return self._core.call(calls.rollback_endpoint(endpoint, to=to, expected=expected))

    def scale(self, endpoint: str, min_replicas: int, max_replicas: int | None = None) -> Deployment:
        """Change how many replicas it has: between these, as load asks for."""
        return self._core.call(calls.scale_endpoint(endpoint, min_replicas, max_replicas))

    def promote(self, endpoint: str) -> Deployment:
        """Let the version on trial serve from now on."""
        return self._core.call(calls.promote_endpoint(endpoint))

    def abort(self, endpoint: str) -> Deployment:
        """End the trial; what served all along serves on."""
        return self._core.call(calls.abort_endpoint(endpoint))


class AsyncDeployments(AsyncPart):
    """What endpoints shall serve."""

    async def create(
        self, model: str, endpoint: str, *, variant: str | None = None, replicas: int | None = None, max_replicas: int | None = None,
        isolation: Isolation | None = None, idle_s: float | None = None, long_text: LongText | None = None, canary: int | None = None,
        shadow: int | None = None, draft: str | None = None,
    ) -> Deployment:  # fmt: skip
        """Declare that `endpoint` serves `model`, or tries it beside what serves: as a `canary` that answers so many percent of the
        calls, or a `shadow` that gets copies of as many. Returns at once, see `wait`. What is None stays as it is.

        Args:
            replicas: loaded copies; 0 lets it sleep while it is not used, and load on the next call.
            isolation: `own` worker process for each copy, or one `shared` with other small models.
            idle_s: with 0 replicas: it sleeps after so long without a call; 0: only when others need the memory.
            long_text: refuse, truncate or window.
            draft: a smaller decoder of the same vocabulary that guesses what comes next, such as `small:2`; empty: none.
        """
        call = calls.create_deployment(
            model, endpoint, variant=variant, replicas=replicas, max_replicas=max_replicas, isolation=isolation, idle_s=idle_s,
            long_text=long_text, canary=canary, shadow=shadow, draft=draft,
        )  # fmt: skip
        return await self._core.call(call)

    async def list(self) -> list[Deployment]:
        """All deployments."""
        return await self._core.call(calls.list_deployments())

    async def wait(self, deployment: Deployment, *, timeout: float = 180.0) -> Deployment:
        """Wait until it serves. Raises EngineFailed with the reason when it cannot."""
        return await self._core.driver.run(flows.settle(deployment, self._core.policy, timeout_s=timeout))


class AsyncEndpoints(AsyncPart):
    """Public names."""

    async def list(self) -> list[Endpoint]:
        """All endpoints."""
        return await self._core.call(calls.list_endpoints())

    async def get(self, endpoint: str) -> Endpoint:
        """One endpoint."""
        return await self._core.call(calls.get_endpoint(endpoint))

    async def update(self, endpoint: str, *, long_text: LongText | None = None, cache_ttl_s: int | None = None) -> Endpoint:
        """Change what becomes of long texts (refuse, truncate, window) and for how long answers are kept (0: not at all)."""
        return await self._core.call(calls.update_endpoint(endpoint, long_text=long_text, cache_ttl_s=cache_ttl_s))

    async def delete(self, endpoint: str, *, wait: bool = True, timeout: float = 30.0) -> None:
        """Stop serving it and wait until it answers no more. Raises DeadlineExceeded (`undeploy_slow`); it still will go."""
        await self._core.call(calls.delete_endpoint(endpoint))
        if wait:
            await self._core.driver.run(flows.vanish(endpoint, self._core.policy, timeout_s=timeout))

    async def rollback(self, endpoint: str, *, to: str | None = None, expected: str | None = None) -> Rollback:
        """Serve again what it served before, or `to`, a `name:version` that it served once. Asking again changes nothing.

        Args:
            expected: id of the deployment to take back. Raises Conflict (`endpoint_moved_on`) when it is another one by now.
        """
        return await self._core.call(calls.rollback_endpoint(endpoint, to=to, expected=expected))

    async def scale(self, endpoint: str, min_replicas: int, max_replicas: int | None = None) -> Deployment:
        """Change how many replicas it has: between these, as load asks for."""
        return await self._core.call(calls.scale_endpoint(endpoint, min_replicas, max_replicas))

    async def promote(self, endpoint: str) -> Deployment:
        """Let the version on trial serve from now on."""
        return await self._core.call(calls.promote_endpoint(endpoint))

    async def abort(self, endpoint: str) -> Deployment:
        """End the trial; what served all along serves on."""
        return await self._core.call(calls.abort_endpoint(endpoint))
