"""Canaries and shadows as declared state: how they begin, end, and become what serves; scaling and rolling back beside them."""

from __future__ import annotations

import pytest

from hanlin.control import deployments, trials
from hanlin.control.desired import DeclaredDeployments
from hanlin.control.rollback import roll_back
from hanlin.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from hanlin.messages.said import Said
from hanlin.types import KeyId, Principal


@pytest.fixture
def live(platform, owner, make_version, desired) -> str:
    """Version 1 serves endpoint `live`; version 2 is published."""
    make_version()
    serving = deployments.deploy(platform, owner, model="mood", endpoint="live", replicas=2, max_replicas=4).id
    desired.set_state(serving, "ready", None, 2)
    make_version(content=b"two")
    return serving


def begin(platform, owner, **trial: int) -> str:
    return deployments.deploy(platform, owner, model="mood:2", endpoint="live", **trial).id


def roles(desired: DeclaredDeployments) -> list[tuple[str, int, str]]:
    return [(spec.role, spec.weight, spec.version) for spec in desired.list_deployments()]


def test_a_trial_stands_beside_what_serves(platform, owner, desired, live) -> None:
    trial = begin(platform, owner, canary=10)
    desired.set_state(trial, "ready", None, 1)
    assert roles(desired) == [("live", 0, "mood:1"), ("canary", 10, "mood:2")]
    view = deployments.get_endpoint(platform, owner, "live")
    assert (view.wanted.id, view.serving.id, view.trial.id) == (live, live, trial)
    assert begin(platform, owner, canary=50) == trial, "another share is no other trial"
    assert roles(desired)[1] == ("canary", 50, "mood:2")
    assert begin(platform, owner, shadow=100) != trial, "one trial at a time"
    assert roles(desired) == [("live", 0, "mood:1"), ("shadow", 100, "mood:2")]


def test_a_promoted_trial_serves_with_the_replicas_of_the_one_it_replaces(platform, owner, desired, live) -> None:
    trial = begin(platform, owner, canary=10)
    with pytest.raises(Conflict) as caught:
        trials.promote(platform, owner, "live")
    assert caught.value.code == "trial_not_ready"
    desired.set_state(trial, "ready", None, 1)
    promoted = trials.promote(platform, owner, "live")
    assert (promoted.id, promoted.role, promoted.replicas, promoted.max_replicas) == (trial, "live", 2, 4)
    assert roles(desired) == [("live", 0, "mood:2")]
    view = deployments.get_endpoint(platform, owner, "live")
    assert (view.serving.id, view.trial) == (trial, None)
    back = roll_back(platform, owner, "live").view
    assert (back.version, back.replicas, back.max_replicas) == (1, 2, 4), "what served before, scaled as it is"


def test_an_aborted_trial_leaves_what_serves(platform, owner, desired, live) -> None:
    begin(platform, owner, shadow=100)
    assert trials.abort(platform, owner, "live").state == "stopped"
    assert roles(desired) == [("live", 0, "mood:1")]
    assert deployments.get_endpoint(platform, owner, "live").trial is None
    for ask in (trials.abort, trials.promote):
        with pytest.raises(Conflict) as caught:
            ask(platform, owner, "live")
        assert caught.value.code == "no_trial"
    with pytest.raises(NotFound):
        trials.abort(platform, owner, "other")


def test_a_trial_that_is_taken_back_keeps_its_reason_and_its_figures(platform, owner, desired, live) -> None:
    trial = begin(platform, owner, canary=10)
    desired.set_state(trial, "ready", None, 1)
    desired.set_stats(trial, {"trial": {"calls": 5}})
    assert deployments.get_endpoint(platform, owner, "live").trial.stats == {"trial": {"calls": 5}}
    reason = Said("trial_errors", {"failed": 30, "calls": 100, "limit": 2.0})
    desired.take_back(trial, reason, {"trial": {"calls": 100}})
    assert roles(desired) == [("live", 0, "mood:1")]
    view = deployments.get_endpoint(platform, owner, "live")
    assert (view.serving.id, view.trial.state, view.trial.reason) == (live, "failed", reason)
    assert "30 of 100 calls failed" in view.trial.reason_in("en")
    assert "100 次调用中有 30 次失败" in view.trial.reason_in("zh")
    desired.take_back(live, reason, {})
    assert deployments.get_endpoint(platform, owner, "live").serving.id == live, "what serves is never taken back"


def test_a_trial_that_does_not_load_leaves_what_serves(platform, owner, desired, live) -> None:
    trial = begin(platform, owner, canary=10)
    desired.set_state(trial, "failed", Said("worker_start_died", {"status": -9}), 0)
    view = deployments.get_endpoint(platform, owner, "live")
    assert (view.wanted.id, view.serving.id, view.trial.state) == (live, live, "failed")


def test_a_new_version_and_a_rollback_end_the_trial(platform, owner, desired, live, make_version) -> None:
    begin(platform, owner, canary=10)
    make_version(content=b"three")
    new = deployments.deploy(platform, owner, model="mood:3", endpoint="live")
    assert (new.replicas, new.max_replicas) == (2, 4), "the endpoint stays as it is scaled"
    assert roles(desired) == [("live", 0, "mood:1"), ("live", 0, "mood:3")]
    desired.set_state(new.id, "ready", None, 2)
    deployments.deploy(platform, owner, model="mood:2", endpoint="live", canary=10)
    assert roll_back(platform, owner, "live").view.version == 1
    assert ("canary", 10, "mood:2") not in roles(desired)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"canary": 10, "shadow": 10}, "trial_of_two_kinds"),
        ({"canary": 100}, "trial_weight"),
        ({"shadow": 0}, "trial_weight"),
        ({"replicas": 3, "max_replicas": 2}, "replicas_out_of_range"),
        ({"replicas": 17}, "replicas_out_of_range"),
    ],
)
def test_wishes_without_sense_are_refused(platform, owner, live, options, code) -> None:
    with pytest.raises(InvalidInput) as caught:
        deployments.deploy(platform, owner, model="mood:2", endpoint="live", **options)
    assert caught.value.code == code


def test_a_trial_needs_something_else_that_serves(platform, owner, live) -> None:
    with pytest.raises(Conflict) as caught:
        deployments.deploy(platform, owner, model="mood:2", endpoint="new", canary=10)
    assert caught.value.code == "nothing_to_try_beside"
    with pytest.raises(Conflict) as caught:
        deployments.deploy(platform, owner, model="mood:1", endpoint="live", canary=10)
    assert caught.value.code == "trial_is_what_serves"


def test_an_endpoint_that_may_sleep_takes_a_trial_asleep_and_sleeps_on_when_it_is_promoted(platform, owner, desired, live) -> None:
    options = {"replicas": 0, "isolation": "shared", "idle_s": 5.0}
    sleepy = deployments.deploy(platform, owner, model="mood:1", endpoint="sleepy", **options).id
    desired.set_state(sleepy, "ready", None, 1)
    desired.set_state(sleepy, "asleep", None, 0)
    trial = deployments.deploy(platform, owner, model="mood:2", endpoint="sleepy", canary=10)
    assert (trial.replicas, trial.isolation) == (1, "own"), "its faults are its own while it is tried"
    desired.set_state(trial.id, "ready", None, 1)
    promoted = trials.promote(platform, owner, "sleepy")
    assert (promoted.replicas, promoted.isolation, promoted.idle_s) == (0, "shared", 5.0)


@pytest.mark.parametrize("kind", ["canary", "shadow"])
def test_a_version_for_another_task_is_not_tried(platform, owner, live, make_version, kind) -> None:
    """A judge of errors and latency would not mind entities where callers expect labels."""
    make_version("tagger", task="token-classification")
    with pytest.raises(Conflict) as caught:
        deployments.deploy(platform, owner, model="tagger", endpoint="live", **{kind: 50})
    assert caught.value.code == "trial_of_another_task"
    assert deployments.get_endpoint(platform, owner, "live").trial is None


def test_scaling_keeps_the_deployment(platform, owner, desired, live) -> None:
    scaled = deployments.scale(platform, owner, "live", min_replicas=3, max_replicas=5)
    assert (scaled.id, scaled.replicas, scaled.max_replicas) == (live, 3, 5)
    (spec,) = desired.list_deployments()
    assert (spec.replicas, spec.max_replicas) == (3, 5)
    assert deployments.scale(platform, owner, "live", min_replicas=1).max_replicas == 1
    with pytest.raises(NotFound):
        deployments.scale(platform, owner, "other", min_replicas=1)


def test_only_writers_try_and_scale(platform, owner, live) -> None:
    reader = Principal(owner.team_id, KeyId("reader"), frozenset({"read", "predict"}))
    for act in (
        lambda: deployments.scale(platform, reader, "live", min_replicas=1),
        lambda: trials.promote(platform, reader, "live"),
        lambda: trials.abort(platform, reader, "live"),
    ):
        with pytest.raises(PermissionDenied):
            act()
