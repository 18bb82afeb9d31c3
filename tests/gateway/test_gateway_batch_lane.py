"""Which calls wait for all others: those of a batch job's key, and of nobody else."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hanlin.gateway.dataplane import Dataplane
from hanlin.serving.poison import PoisonMemory
from hanlin.serving.router import Request, Result
from hanlin.serving.routes import EndpointRoute
from hanlin.serving.wire import Answer, ReplicaInfo
from hanlin.settings import Settings
from hanlin.types import KeyId, Principal, TeamId


class Lanes:
    """A router that only notes the lanes of its calls."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.poison = PoisonMemory()

    def route(self, _: str) -> EndpointRoute:
        return SimpleNamespace(cache_ttl_s=0)  # type: ignore[return-value]

    async def submit(self, _: str, request: Request) -> Result:
        self.seen.append(request.lane)
        info = ReplicaInfo("m:1", "fake-fp32", "text-classification", (), 8, 8, 8, ())
        return Result(Answer(1, b"[]", 1, 1, 0.0, 0.0, 0.0), info)


@pytest.mark.parametrize(("is_batch", "lane"), [(True, "batch"), (False, "interactive")])
async def test_the_key_chooses_the_lane(is_batch: bool, lane: str, tmp_path) -> None:
    router = Lanes()
    plane = Dataplane(None, settings=Settings(home=tmp_path), router=router)  # type: ignore[arg-type]
    caller = Principal(TeamId("default"), KeyId("k"), frozenset({"predict"}), is_batch)
    await plane.predict(caller, "e", "text", {}, timeout_s=1.0, language="en", request_id="r")
    assert router.seen == [lane]
