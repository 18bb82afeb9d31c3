"""What may be deployed, how endpoints move from one deployment to the next, and what the reconciler is told."""

from __future__ import annotations

import threading

import pytest

from hanlin.control import deployments, models, private_endpoints
from hanlin.control.rollback import roll_back
from hanlin.errors import Conflict, EngineFailed, HanlinError, InvalidInput, NotFound
from hanlin.messages.said import Said


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
    with pytest.raises(InvalidInput, match=r"no variant 'onnx'; there are: .*onnxruntime-int8"):
        deployments.deploy(platform, owner, model="mood", endpoint="live", variant="onnx")
    platform.registry.add_variant(version, "vllm-bf16", None, {})
    platform.registry.add_certificate(version, "vllm-bf16", {"rows": 200}, is_passed=True)
    with pytest.raises(InvalidInput) as refused:
        deployments.deploy(platform, owner, model="mood", endpoint="live", variant="vllm-bf16")
    assert refused.value.code == "engine_apart"


def test_the_same_wish_again_changes_nothing(platform, owner, make_version, desired) -> None:
    make_version()
    first = deployments.deploy(platform, owner, model="mood", endpoint="live")
    assert deployments.deploy(platform, owner, model="mood", endpoint="live").id == first.id
    assert [spec.deployment_id for spec in desired.list_deployments()] == [first.id]


def test_the_old_one_serves_until_the_new_one_is_ready(platform, owner, make_version, desired, ready) -> None:
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    old = ready()
    make_version(content=b"new weights")
    new = deployments.deploy(platform, owner, model="mood", endpoint="live").id
    assert [spec.deployment_id for spec in desired.list_deployments()] == [old, new]
    assert deployments.get_endpoint(platform, owner, "live").serving.version == 1
    desired.set_state(new, "ready", None, 1)
    assert [spec.deployment_id for spec in desired.list_deployments()] == [new]
    assert deployments.get_endpoint(platform, owner, "live").serving.version == 2


def test_a_failed_one_leaves_the_old_one_serving(platform, owner, make_version, desired, ready) -> None:
    """C064."""
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    old = ready()
    make_version(content=b"broken weights")
    new = deployments.deploy(platform, owner, model="mood", endpoint="live").id
    reason = Said("engine_load_failed", {"variant": "torch-fp32", "reason": "no such tensor"})
    desired.set_state(new, "failed", reason, 0)
    assert [(spec.deployment_id, spec.has_failed) for spec in desired.list_deployments()] == [(old, False), (new, True)]
    view = deployments.get_endpoint(platform, owner, "live")
    assert (view.wanted.state, view.wanted.reason, view.serving.id) == ("failed", reason, old)


def test_after_a_restart_everything_starts_anew(platform, owner, make_version, desired, ready) -> None:
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    ready()
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


def test_what_undeploy_forgets_and_what_it_keeps(platform, owner, make_version, ready) -> None:
    """As `hanlin undeploy` and docs/deployments.md say."""
    make_version()
    make_version()
    deployments.deploy(platform, owner, model="mood:1", endpoint="live", replicas=2, isolation="shared", long_text="window")
    deployments.update_endpoint(platform, owner, "live", cache_ttl_s=60)
    ready()
    deployments.deploy(platform, owner, model="mood:2", endpoint="live", canary=10)
    assert deployments.get_endpoint(platform, owner, "live").trial is not None
    deployments.undeploy(platform, owner, "live")
    again = deployments.deploy(platform, owner, model="mood:2", endpoint="live")
    ready()
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


def test_what_still_serves_is_not_deployed_a_second_time(platform, owner, make_version, desired, ready) -> None:
    """Version 2 fails (or still starts) beside version 1; who asks for version 1 again gets the one that serves."""
    make_version()
    first = deployments.deploy(platform, owner, model="mood:1", endpoint="live").id
    ready()
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


def test_one_whose_worker_is_being_replaced_serves_until_its_heir_is_ready(platform, owner, make_version, desired, ready) -> None:
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    old = ready()
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


def test_a_bare_name_tells_when_production_means_another_version(platform, owner, make_version) -> None:
    first = make_version()
    platform.registry.add_variant(first, "onnx-int8", None, {"status": "ok"}, is_chosen=True)
    platform.registry.set_alias(owner.team_id, "mood", "production", first.number, actor=owner.key_id)
    assert deployments.deploy(platform, owner, model="mood", endpoint="m").warnings == ()
    second = make_version(content=b"other")
    (warning,) = deployments.deploy(platform, owner, model="mood", endpoint="m").warnings
    assert warning.code == "deployed_beside_production_uncompressed"
    assert f"mood:{second.number}, which is not compressed" in warning.text("en")
    assert f"mood:{first.number}" in warning.text("zh")
    for model in ("mood@production", f"mood:{second.number}"):
        assert deployments.deploy(platform, owner, model=model, endpoint="m").warnings == ()
