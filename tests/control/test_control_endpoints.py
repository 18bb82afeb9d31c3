"""How an endpoint answers and where its model lives: declared, changed, kept, told to the reconciler; and endpoints taken away."""

from __future__ import annotations

import pytest

from hanlin.control import deployments
from hanlin.control.rollback import roll_back
from hanlin.errors import NotFound
from hanlin.serving.routes import EndpointRoute, Routes, route_key


def test_how_an_endpoint_answers_changes_without_a_new_deployment(platform, owner, make_version, desired, ready) -> None:
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live", long_text="window")
    made = ready()
    assert [(spec.long_text, spec.cache_ttl_s) for spec in desired.list_deployments()] == [("window", 0)]
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    assert deployments.get_endpoint(platform, owner, "live").long_text == "window", "what is not said stays"
    changed = deployments.update_endpoint(platform, owner, "live", cache_ttl_s=60)
    assert (changed.long_text, changed.cache_ttl_s, changed.wanted.id) == ("window", 60, made)
    assert [(spec.long_text, spec.cache_ttl_s) for spec in desired.list_deployments()] == [("window", 60)]
    with pytest.raises(NotFound):
        deployments.update_endpoint(platform, owner, "other", cache_ttl_s=60)
    deployments.undeploy(platform, owner, "live")
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    found = deployments.get_endpoint(platform, owner, "live")
    assert (found.long_text, found.cache_ttl_s) == ("refuse", 0), "a name that is taken again begins anew"


async def test_how_an_endpoint_answers_is_checked_at_the_door(http, owner, platform, make_version, desired) -> None:
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    async with http.client(http.key()) as client:
        found = await client.patch("/api/v1/endpoints/live", json={"long_text": "truncate", "cache_ttl_s": 5})
        assert (found.status_code, found.json()["long_text"], found.json()["cache_ttl_s"]) == (200, "truncate", 5)
        for wrong in ({"long_text": "cut"}, {"cache_ttl_s": -1}, {"cache_ttl_s": 700_000}, {"cache_ttl_s": 1.5}, {"ttl": 5}):
            assert (await client.patch("/api/v1/endpoints/live", json=wrong)).status_code == 422
        assert (await client.patch("/api/v1/endpoints/other", json={})).status_code == 404
    async with http.client(http.key("read")) as client:
        assert (await client.patch("/api/v1/endpoints/live", json={"cache_ttl_s": 5})).status_code == 403


def test_where_a_model_lives_is_declared_kept_by_a_rollback_and_told_to_the_reconciler(
    platform, owner, make_version, desired, ready
) -> None:
    make_version()
    first = deployments.deploy(platform, owner, model="mood", endpoint="live", replicas=0, isolation="shared", idle_s=60.0)
    assert (first.replicas, first.isolation, first.idle_s) == (0, "shared", 60.0)
    (spec,) = desired.list_deployments()
    assert (spec.replicas, spec.min_replicas, spec.isolation, spec.idle_s, spec.was_ready) == (1, 0, "shared", 60.0, False)
    ready()
    assert desired.list_deployments()[0].was_ready
    make_version(content=b"new weights")
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    ready()
    back = roll_back(platform, owner, "live").view
    assert (back.version, back.replicas, back.isolation, back.idle_s) == (1, 0, "shared", 60.0)
    deployments.scale(platform, owner, "live", min_replicas=2)
    assert [(spec.replicas, spec.min_replicas) for spec in desired.list_deployments()][-1] == (2, 2)


def test_an_endpoint_that_sleeps_serves(platform, owner, make_version, desired, ready) -> None:
    make_version()
    asleep = deployments.deploy(platform, owner, model="mood", endpoint="live", replicas=0).id
    desired.set_state(ready(), "asleep", None, 0)
    assert deployments.get_endpoint(platform, owner, "live").serving.id == asleep
    assert deployments.deploy(platform, owner, model="mood", endpoint="live", replicas=0).id == asleep


def test_the_home_says_where_models_live_when_a_deployment_does_not(platform, owner, make_version) -> None:
    make_version()
    object.__setattr__(platform, "settings", platform.settings.model_copy(update={"isolation": "shared"}))
    assert deployments.deploy(platform, owner, model="mood", endpoint="live").isolation == "shared"


async def test_an_endpoint_taken_away_is_refused_at_once(http, owner, platform, make_version, desired) -> None:
    """The reconciler has not looked yet, and its routes still name the endpoint."""
    make_version()
    made = deployments.deploy(platform, owner, model="mood", endpoint="live").id
    route = EndpointRoute("mood", "mood:1", "torch-fp32", "starting", deployment_id=made)
    stale = Routes({route_key(owner.team_id, "live"): route})
    http.router.update(stale)
    async with http.client(http.key()) as client:
        assert (await client.get("/models/live")).status_code == 200
        assert (await client.delete("/api/v1/endpoints/live")).status_code == 200
        assert (await client.get("/models/live")).status_code == 404
        http.router.update(stale)
        assert (await client.post("/models/live", json={"inputs": "x"})).status_code == 404
