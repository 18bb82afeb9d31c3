"""What may be deployed, how endpoints move from one deployment to the next, and what the reconciler is told."""

from __future__ import annotations

import threading

import pytest

from hanlin.control import deployments, models, private_endpoints
from hanlin.control.desired import DeclaredDeployments
from hanlin.control.rollback import roll_back
from hanlin.errors import Conflict, EngineFailed, HanlinError, NotFound
from hanlin.messages.said import Said
from hanlin.serving.routes import EndpointRoute, Routes, route_key


def ready(desired: DeclaredDeployments) -> str:
    """The newest wanted deployment becomes ready; its id."""
    newest = desired.list_deployments()[-1].deployment_id
    desired.set_state(newest, "ready", None, 1)
    return newest


def test_only_published_versions_are_deployed(platform, owner, make_version) -> None:
    make_version(state="certified")
    with pytest.raises(NotFound):
        deployments.deploy(platform, owner, model="mood", endpoint="live")
    with pytest.raises(Conflict) as caught:
        deployments.deploy(platform, owner, model="mood:1", endpoint="live")
    assert caught.value.code == "not_published"


def test_only_certified_variants_are_deployed(platform, owner, make_version) -> None:
    version = make_version()
    platform.registry.add_variant(version, "openvino-int8", None, {})
    with pytest.raises(Conflict) as caught:
        deployments.deploy(platform, owner, model="mood", endpoint="live", variant="openvino-int8")
    assert caught.value.code == "variant_not_certified"


def test_the_same_wish_again_changes_nothing(platform, owner, make_version, desired) -> None:
    make_version()
    first = deployments.deploy(platform, owner, model="mood", endpoint="live")
    assert deployments.deploy(platform, owner, model="mood", endpoint="live").id == first.id
    assert [spec.deployment_id for spec in desired.list_deployments()] == [first.id]


def test_the_old_one_serves_until_the_new_one_is_ready(platform, owner, make_version, desired) -> None:
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    old = ready(desired)
    make_version(content=b"new weights")
    new = deployments.deploy(platform, owner, model="mood", endpoint="live").id
    assert [spec.deployment_id for spec in desired.list_deployments()] == [old, new]
    assert deployments.get_endpoint(platform, owner, "live").serving.version == 1
    desired.set_state(new, "ready", None, 1)
    assert [spec.deployment_id for spec in desired.list_deployments()] == [new]
    assert deployments.get_endpoint(platform, owner, "live").serving.version == 2


def test_a_failed_one_leaves_the_old_one_serving(platform, owner, make_version, desired) -> None:
    """C064."""
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    old = ready(desired)
    make_version(content=b"broken weights")
    new = deployments.deploy(platform, owner, model="mood", endpoint="live").id
    reason = Said("engine_load_failed", {"variant": "torch-fp32", "reason": "no such tensor"})
    desired.set_state(new, "failed", reason, 0)
    assert [(spec.deployment_id, spec.has_failed) for spec in desired.list_deployments()] == [(old, False), (new, True)]
    view = deployments.get_endpoint(platform, owner, "live")
    assert (view.wanted.state, view.wanted.reason, view.serving.id) == ("failed", reason, old)


def test_after_a_restart_everything_starts_anew(platform, owner, make_version, desired) -> None:
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    ready(desired)
    desired.start_over()
    assert deployments.get_endpoint(platform, owner, "live").serving is None
    assert [spec.endpoint for spec in desired.list_deployments()] == ["live"]


def test_a_private_endpoint_ends_with_its_job(platform, owner, make_version, desired) -> None:
    version = make_version()
    with platform.database.write() as session:
        deployments.declare(
            session, owner, model="mood:1", version=version, endpoint=".certify-job_gone", variant="torch-fp32", is_internal=True
        )
    assert deployments.list_endpoints(platform, owner) == []
    assert deployments.list_deployments(platform, owner) == []
    with pytest.raises(NotFound):
        deployments.get_endpoint(platform, owner, ".certify-job_gone")
    desired.start_over()
    assert list(desired.list_deployments()) == []


def test_what_undeploy_forgets_and_what_it_keeps(platform, owner, make_version, desired) -> None:
    """As `hanlin undeploy` and docs/deployments.md say."""
    make_version()
    make_version()
    deployments.deploy(platform, owner, model="mood:1", endpoint="live", replicas=2, isolation="shared", long_text="window")
    deployments.update_endpoint(platform, owner, "live", cache_ttl_s=60)
    ready(desired)
    deployments.deploy(platform, owner, model="mood:2", endpoint="live", canary=10)
    assert deployments.get_endpoint(platform, owner, "live").trial is not None
    deployments.undeploy(platform, owner, "live")
    again = deployments.deploy(platform, owner, model="mood:2", endpoint="live")
    ready(desired)
    view = deployments.get_endpoint(platform, owner, "live")
    assert (again.replicas, again.isolation, view.long_text, view.cache_ttl_s, view.trial) == (1, "own", "refuse", 0, None)
    assert roll_back(platform, owner, "live").view.version == 1


def test_a_version_in_use_is_kept(platform, owner, make_version, desired) -> None:
    """C080."""
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    with pytest.raises(Conflict) as caught:
        models.delete_version(platform, owner, "mood", 1)
    assert caught.value.code == "in_use"
    deployments.undeploy(platform, owner, "live")
    models.delete_version(platform, owner, "mood", 1)
    with pytest.raises(NotFound):
        models.card(platform, owner, "mood", 1)


def test_one_of_two_publishes_wins(platform, owner, make_version) -> None:
    """C075, in small: two at once, one 201 and one 409, one row."""
    for number in range(1, 11):
        make_version(state="certified", content=b"%d" % number)
        barrier, ends = threading.Barrier(2), []

        def publish(number: int = number, barrier: threading.Barrier = barrier, ends: list[str] = ends) -> None:
            barrier.wait()
            try:
                models.publish(platform, owner, "mood", number)
                ends.append("published")
            except HanlinError as error:
                ends.append(error.code)

        threads = [threading.Thread(target=publish) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ends) == ["already_published", "published"]


def test_eight_at_once_make_one_deployment(platform, owner, make_version) -> None:
    make_version()
    barrier, found = threading.Barrier(8), []

    def deploy() -> None:
        barrier.wait()
        found.append(deployments.deploy(platform, owner, model="mood", endpoint="live").id)

    threads = [threading.Thread(target=deploy) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == len(deployments.list_deployments(platform, owner)) == 1


def test_what_still_serves_is_not_deployed_a_second_time(platform, owner, make_version, desired) -> None:
    """Version 2 fails (or still starts) beside version 1; who asks for version 1 again gets the one that serves."""
    make_version()
    first = deployments.deploy(platform, owner, model="mood:1", endpoint="live").id
    ready(desired)
    make_version(content=b"new weights")
    second = deployments.deploy(platform, owner, model="mood:2", endpoint="live").id
    desired.set_state(second, "failed", Said("worker_start_died", {"status": 1}), 0)
    assert deployments.deploy(platform, owner, model="mood:1", endpoint="live").id == first
    assert [spec.deployment_id for spec in desired.list_deployments()] == [first]


def test_a_failed_deployment_is_tried_anew_when_asked(platform, owner, make_version, desired) -> None:
    make_version()
    first = deployments.deploy(platform, owner, model="mood", endpoint="live").id
    desired.set_state(first, "failed", Said("artifact_corrupt", {"digest": "d"}), 0)
    again = deployments.deploy(platform, owner, model="mood", endpoint="live")
    assert (again.id != first, again.state, again.reason) == (True, "starting", None)
    assert [(spec.deployment_id, spec.has_failed) for spec in desired.list_deployments()] == [(again.id, False)]


def test_one_whose_worker_is_being_replaced_serves_until_its_heir_is_ready(platform, owner, make_version, desired) -> None:
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    old = ready(desired)
    desired.set_state(old, "starting", Said("worker_ended", {"status": -9}), 0)
    make_version(content=b"new weights")
    new = deployments.deploy(platform, owner, model="mood", endpoint="live").id
    assert [spec.deployment_id for spec in desired.list_deployments()] == [old, new]


async def test_a_reason_is_told_in_the_callers_language(http, platform, owner, make_version, desired) -> None:
    make_version()
    made = deployments.deploy(platform, owner, model="mood", endpoint="live").id
    desired.set_state(made, "failed", Said("worker_start_died", {"status": 137}), 0)
    async with http.client(http.key()) as client:
        for language, words in (("en", "ended with status 137"), ("zh-CN", "在就绪前退出，状态 137")):
            headers = {"accept-language": language}
            answers = [
                (await client.get(f"/api/v1/deployments/{made}", headers=headers)).json(),
                (await client.get("/api/v1/deployments", headers=headers)).json()["deployments"][0],
                (await client.get("/api/v1/endpoints/live", headers=headers)).json(),
                (await client.get("/api/v1/endpoints", headers=headers)).json()["endpoints"][0],
            ]
            assert all(words in answer["reason"] for answer in answers)
            assert [answer["said"] for answer in answers] == [{"code": "worker_start_died", "params": {"status": 137}}] * 4


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


def test_a_private_endpoint_that_cannot_serve_says_why(platform, owner, make_version, desired) -> None:
    version, told = make_version(), Said("insufficient_memory", {"needed_mib": 9, "free_mib": 3})

    def fail() -> None:
        desired.set_state(desired.list_deployments()[-1].deployment_id, "failed", told, 0)

    with (
        pytest.raises(EngineFailed) as caught,
        private_endpoints.serving(platform, owner, version, "torch-fp32", owner="job-1", check=fail),
    ):
        pytest.fail("it serves")
    assert (caught.value.code, caught.value.params) == (told.code, told.params)
    assert desired.list_deployments() == ()


def test_how_an_endpoint_answers_changes_without_a_new_deployment(platform, owner, make_version, desired) -> None:
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live", long_text="window")
    made = ready(desired)
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


def test_where_a_model_lives_is_declared_kept_by_a_rollback_and_told_to_the_reconciler(platform, owner, make_version, desired) -> None:
    make_version()
    first = deployments.deploy(platform, owner, model="mood", endpoint="live", replicas=0, isolation="shared", idle_s=60.0)
    assert (first.replicas, first.isolation, first.idle_s) == (0, "shared", 60.0)
    (spec,) = desired.list_deployments()
    assert (spec.replicas, spec.min_replicas, spec.isolation, spec.idle_s, spec.was_ready) == (1, 0, "shared", 60.0, False)
    ready(desired)
    assert desired.list_deployments()[0].was_ready
    make_version(content=b"new weights")
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    ready(desired)
    back = roll_back(platform, owner, "live").view
    assert (back.version, back.replicas, back.isolation, back.idle_s) == (1, 0, "shared", 60.0)
    deployments.scale(platform, owner, "live", min_replicas=2)
    assert [(spec.replicas, spec.min_replicas) for spec in desired.list_deployments()][-1] == (2, 2)


def test_an_endpoint_that_sleeps_serves(platform, owner, make_version, desired) -> None:
    make_version()
    asleep = deployments.deploy(platform, owner, model="mood", endpoint="live", replicas=0).id
    desired.set_state(ready(desired), "asleep", None, 0)
    assert deployments.get_endpoint(platform, owner, "live").serving.id == asleep
    assert deployments.deploy(platform, owner, model="mood", endpoint="live", replicas=0).id == asleep


def test_the_home_says_where_models_live_when_a_deployment_does_not(platform, owner, make_version) -> None:
    make_version()
    object.__setattr__(platform, "settings", platform.settings.model_copy(update={"isolation": "shared"}))
    assert deployments.deploy(platform, owner, model="mood", endpoint="live").isolation == "shared"
