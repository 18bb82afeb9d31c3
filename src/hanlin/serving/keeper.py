"""Keeps the models of a home within its memory: puts unused ones to sleep, and makes room before one is loaded.

Decides by `residency.py`; the deployments' `ReplicaSet`s do it. Lives on the reconciler's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from hanlin.errors import NotReady
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.replicas import ReplicaSet
from hanlin.serving.residency import Resident, can_ever_fit, find_idle, make_room

_ROOM_WAIT_S = 10.0  # a model waits this long for others to fall idle
_LOOK_S = 0.1
_MIB = 2**20


class Keeper:
    """Watches over `groups`, the replica sets by deployment.

    Args:
        budget_bytes: what all models together may take; those that must stay in memory may go beyond it.
    """

    def __init__(self, groups: Mapping[str, ReplicaSet], *, budget_bytes: int) -> None:
        self._groups = groups
        self._budget_bytes = budget_bytes
        self._reserved: dict[str, int] = {}
        self._falling: dict[str, asyncio.Task[bool]] = {}

    def turn(self) -> None:
        """See who was used, and send those to sleep that were not for as long as they may, or that turned out larger than thought."""
        now_s = asyncio.get_running_loop().time()
        for group in self._groups.values():
            group.observe(now_s)
        residents = self._residents()
        for name in {*find_idle(residents, now_s=now_s), *make_room(residents, now_s=now_s, budget_bytes=self._budget_bytes)}:
            self._send_to_sleep(name)

    async def make_room(self, spec: DeploymentSpec, size_bytes: int) -> None:
        """Returns when `size_bytes` more may be loaded for `spec`; the longest unused models leave for it.

        Raises:
            NotReady: `insufficient_memory`: others keep it, and are in use or must stay.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + _ROOM_WAIT_S
        while self._free_bytes() < size_bytes:
            others = [one for one in self._residents() if one.name != spec.deployment_id]
            leaving = make_room(others, now_s=loop.time(), budget_bytes=self._budget_bytes, wanted_bytes=size_bytes)
            await asyncio.gather(*(self._send_to_sleep(name) for name in leaving))
            if self._free_bytes() >= size_bytes or spec.min_replicas > 0:
                break
            is_hopeless = not can_ever_fit(others, budget_bytes=self._budget_bytes, wanted_bytes=size_bytes)
            if is_hopeless or loop.time() > end_s:
                free_mib = max(0, self._free_bytes()) // _MIB
                raise NotReady("insufficient_memory", retry_after_s=_ROOM_WAIT_S, needed_mib=-(-size_bytes // _MIB), free_mib=free_mib)
            await asyncio.sleep(_LOOK_S)
        self._reserved[spec.deployment_id] = size_bytes

    def rest(self, name: str) -> None:
        """Somebody wants it to sleep: it does unless it is in use, or its deployment wants it in memory at all times."""
        if any(one.name == name and one.can_leave and not one.is_busy for one in self._residents()):
            self._send_to_sleep(name)

    async def close(self) -> None:
        """Wait for those that are just falling asleep."""
        await asyncio.gather(*self._falling.values(), return_exceptions=True)

    def _send_to_sleep(self, name: str) -> asyncio.Task[bool]:
        task = self._falling.get(name)
        if task is None:
            task = self._falling[name] = asyncio.get_running_loop().create_task(self._groups[name].fall_asleep())
            task.add_done_callback(lambda _: self._falling.pop(name, None))
        return task

    def _free_bytes(self) -> int:
        return self._budget_bytes - sum(one.size_bytes for one in self._residents())

    def _residents(self) -> list[Resident]:
        """All that hold memory, or soon will; what is being loaded cannot leave yet."""
        found: list[Resident] = []
        for name, group in self._groups.items():
            if group.state != "starting":
                self._reserved.pop(name, None)
            size_bytes = max(group.size_bytes, self._reserved.get(name, 0))
            if size_bytes:
                is_busy = group.state != "ready" or group.usage.is_busy or not group.is_complete
                found.append(Resident(name, size_bytes, group.usage.last_used_s, is_busy, group.spec.idle_s, group.spec.min_replicas == 0))
        return found
