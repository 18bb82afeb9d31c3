"""When a child that died starts again: at once where it could live, later and later where it cannot."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hanlin.app import supervisor
from hanlin.gateway.acceptor import Tally, holds_any, new_tally
from hanlin.settings import Settings


class Dead:
    def poll(self) -> int:
        return -9


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Roles in the order they were started; every process is dead at once."""
    found: list[str] = []
    monkeypatch.setattr(supervisor, "launch", lambda role, *_args, **_more: found.append(role) or Dead())
    monkeypatch.setattr(supervisor, "hand_over", lambda *_: None)
    monkeypatch.setattr(supervisor, "kill", lambda *_: 0)
    return found


def delays(child: supervisor.Child, settings: Settings, deaths: int) -> list[float]:
    now_s = time.monotonic()
    child.start(settings)
    found = []
    for _ in range(deaths):
        child.tick(settings, now_s)
        found.append(child.delay_s)
        child.start(settings)
    return found


def test_a_child_that_cannot_live_waits_longer_each_time(starts: list[str], tmp_path: Path) -> None:
    assert delays(supervisor.Child("runner"), Settings(home=tmp_path), 8) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_gateway_that_held_connections_starts_again_at_once(starts: list[str], tmp_path: Path) -> None:
    tally = new_tally(2)
    child = supervisor.Child("gateway", tally_slot=(tally, 1))
    settings = Settings(home=tmp_path)
    child.start(settings)
    for _ in range(3):
        Tally(tally, 1).set(5)
        child.tick(settings, time.monotonic())
        assert child.delay_s == 0.0
    assert starts == ["gateway"] * 4


def test_what_an_earlier_gateway_held_does_not_count(starts: list[str], tmp_path: Path) -> None:
    tally = new_tally(2)
    Tally(tally, 1).set(5)
    Tally(tally, 0).set(5)
    child = supervisor.Child("gateway", tally_slot=(tally, 1))
    assert delays(child, Settings(home=tmp_path), 3) == [0.1, 0.2, 0.4]
    assert holds_any(tally, 0)
