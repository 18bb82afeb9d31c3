"""Where a rollback goes, and that asking twice, or four at once, goes there once."""

from __future__ import annotations

import threading

import pytest

from hanlin.control import deployments
from hanlin.control.desired import DeclaredDeployments
from hanlin.control.rollback import roll_back
from hanlin.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from hanlin.messages.said import Said
from hanlin.types import KeyId, Principal


@pytest.fixture
def desired(platform) -> DeclaredDeployments:
    return DeclaredDeployments(platform)


@pytest.fixture
def served(platform, owner, make_version, desired) -> list[str]:
    """Versions 1, 2 and 3 have served endpoint `live`, one after the other; their deployments."""
    found = []
    for number in (1, 2, 3):
        make_version(content=b"%d" % number)
        found.append(deployments.deploy(platform, owner, model="mood", endpoint="live").id)
        desired.set_state(found[-1], "ready", None, 1)
    return found


def wanted(platform, owner) -> int:
    return deployments.get_endpoint(platform, owner, "live").wanted.version


def test_it_goes_to_what_was_ready_before(platform, owner, make_version, desired) -> None:
    make_version()
    first = deployments.deploy(platform, owner, model="mood", endpoint="live").id
    desired.set_state(first, "ready", None, 1)
    with pytest.raises(Conflict) as caught:
        roll_back(platform, owner, "live")
    assert caught.value.code == "nothing_to_roll_back_to"
    for content in (b"two", b"three"):
        make_version(content=content)
        last = deployments.deploy(platform, owner, model="mood", endpoint="live").id
    desired.set_state(last, "ready", None, 1)  # version 2 was replaced before it was ever ready
    assert roll_back(platform, owner, "live").view.version == 1


def test_what_was_taken_back_is_not_gone_back_to(platform, owner, desired, served) -> None:
    """Who changes where the model lives declares the same version anew; the next rollback went to the one that had been taken back."""
    back = roll_back(platform, owner, "live").view
    desired.set_state(back.id, "ready", None, 1)
    anew = deployments.deploy(platform, owner, model=f"mood:{back.version}", endpoint="live", isolation="shared")
    assert anew.id != back.id
    desired.set_state(anew.id, "ready", None, 1)
    assert roll_back(platform, owner, "live").view.version == 1
    assert roll_back(platform, owner, "live", to="mood:3").view.version == 3, "whoever names it gets it"


def test_asking_again_changes_nothing_and_says_so(platform, owner, desired, served) -> None:
    first = roll_back(platform, owner, "live")
    assert (first.view.version, first.is_changed) == (2, True)
    for state in ("starting", "ready"):
        if state == "ready":
            desired.set_state(first.view.id, "ready", None, 1)
        again = roll_back(platform, owner, "live")
        assert (again.view.id, again.is_changed) == (first.view.id, False)
    assert [spec.version for spec in desired.list_deployments()] == ["mood:2"]


def test_of_four_at_once_one_rolls_back_and_three_find_it_done(platform, owner, desired, served) -> None:
    barrier, ends = threading.Barrier(4), []

    def act() -> None:
        barrier.wait()
        ends.append(roll_back(platform, owner, "live", expected=served[-1]))

    threads = [threading.Thread(target=act) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(end.is_changed for end in ends) == [False, False, False, True]
    assert {end.view.version for end in ends} == {2}
    assert wanted(platform, owner) == 2


def test_a_new_deployment_can_be_rolled_back_again(platform, owner, desired, served) -> None:
    desired.set_state(roll_back(platform, owner, "live").view.id, "ready", None, 1)
    again = deployments.deploy(platform, owner, model="mood:3", endpoint="live").id
    desired.set_state(again, "ready", None, 1)
    with pytest.raises(Conflict) as caught:
        roll_back(platform, owner, "live", expected=served[-1])
    assert caught.value.code == "endpoint_moved_on", "an answer that was lost is asked for again, too late"
    assert wanted(platform, owner) == 3
    assert roll_back(platform, owner, "live", expected=again).view.version == 2


def test_a_version_that_is_named_is_gone_to_from_anywhere(platform, owner, desired, served) -> None:
    for changes in (True, False):
        done = roll_back(platform, owner, "live", to="mood:1")
        assert (done.view.version, done.is_changed) == (1, changes)
    assert roll_back(platform, owner, "live", to="mood:3").view.version == 3, "forward, too"
    assert not roll_back(platform, owner, "live", to="mood:3").is_changed
    with pytest.raises(Conflict) as caught:
        roll_back(platform, owner, "live", to="mood:4")
    assert caught.value.code == "never_served_here"
    with pytest.raises(InvalidInput):
        roll_back(platform, owner, "live", to="mood 1")


def test_one_that_does_not_load_is_tried_anew(platform, owner, desired, served) -> None:
    first = roll_back(platform, owner, "live").view
    desired.set_state(first.id, "failed", Said("worker_start_died", {"status": 1}), 0)
    again = roll_back(platform, owner, "live", expected=served[-1])
    assert (again.view.version, again.view.state, again.is_changed) == (2, "starting", True)
    assert again.view.id != first.id
    assert [(spec.version, spec.has_failed) for spec in desired.list_deployments()] == [("mood:3", False), ("mood:2", False)]


def test_only_writers_of_the_team_roll_back(platform, owner, stranger, served) -> None:
    with pytest.raises(PermissionDenied):
        roll_back(platform, Principal(owner.team_id, KeyId("reader"), frozenset({"read", "predict"})), "live")
    with pytest.raises(NotFound):
        roll_back(platform, stranger, "live")


async def test_the_door_takes_it_with_and_without_a_body(http, platform, owner, desired, served) -> None:
    path = "/api/v1/endpoints/live/rollback"
    async with http.client(http.key()) as client:
        answers = [await client.post(path), await client.post(path, json={}), await client.post(path, json={"expected": served[-1]})]
        assert [answer.status_code for answer in answers] == [202] * 3
        assert [(answer.json()["version"], answer.json()["is_changed"]) for answer in answers] == [(2, True), (2, False), (2, False)]
        assert (await client.post(path, json={"to": "mood:1"})).json()["version"] == 1
        for wrong in ({"to": 1}, {"to": "mood", "from": "x"}, {"expected": "x" * 65}, []):
            assert (await client.post(path, json=wrong)).status_code == 422
        assert (await client.post(path, content=b"{}")).status_code == 415
        assert (await client.post(path, json={"expected": "dep-other"})).json()["error"]["code"] == "endpoint_moved_on"
