"""Which calls wait for all others: those of a batch job's key, and of nobody else."""

from __future__ import annotations

import pytest

from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.doorman import Doorman
from hanlin.gateway.inference import DOORS
from hanlin.settings import Settings
from hanlin.types import KeyId, Principal, TeamId


class Lanes:
    """A dataplane that only notes the lanes of its calls."""

    settings = Settings()

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.seen: list[str] = []

    def authenticate(self, _: str | None) -> Principal:
        return self.principal

    def find(self, *_: object) -> None:
        """There is every endpoint."""

    async def predict(self, *_: object, lane: str, **__: object) -> Outcome:
        self.seen.append(lane)
        return Outcome(b"[]", "m:1", "fake-fp32", 1, 1, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(("is_batch", "lane"), [(True, "batch"), (False, "interactive")])
async def test_the_key_chooses_the_lane(is_batch: bool, lane: str) -> None:
    lanes = Lanes(Principal(TeamId("default"), KeyId("k"), frozenset({"predict"}), is_batch))

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b'{"inputs": "a"}'}

    async def send(status: int, *_: object) -> None:
        assert status == 200

    scope = {"state": {"language": "en", "request_id": "r"}, "hanlin.on_disconnect": lambda _: None}
    headers = {b"content-type": b"application/json", b"x-hanlin-lane": b"batch"}
    await Doorman(lanes).call(DOORS[0], "e", scope, receive, send, headers=headers)  # type: ignore[arg-type]
    assert lanes.seen == [lane]
