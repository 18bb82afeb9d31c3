"""What may be deployed, how endpoints move from one deployment to the next, and what the reconciler is told."""

from __future__ import annotations

import threading

import pytest

from hanlin.control import deployments, models
from hanlin.control.desired import DeclaredDeployments
from hanlin.errors import Conflict, HanlinError, NotFound


@pytest.fixture
def desired(platform) -> DeclaredDeployments:
    return DeclaredDeployments(platform)


def ready(desired: DeclaredDeployments) -> str:
    """The newest wanted deployment becomes ready; its id."""
    newest = desired.list_deployments()[-1].deployment_id
    desired.set_state(newest, "ready", "", 1)
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
    desired.set_state(new, "ready", "", 1)
    assert [spec.deployment_id for spec in desired.list_deployments()] == [new]
    assert deployments.get_endpoint(platform, owner, "live").serving.version == 2


def test_a_failed_one_leaves_the_old_one_serving(platform, owner, make_version, desired) -> None:
    """C064."""
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    old = ready(desired)
    make_version(content=b"broken weights")
    new = deployments.deploy(platform, owner, model="mood", endpoint="live").id
    desired.set_state(new, "failed", "no such tensor", 0)
    assert [spec.deployment_id for spec in desired.list_deployments()] == [old]
    view = deployments.get_endpoint(platform, owner, "live")
    assert (view.wanted.state, view.wanted.reason, view.serving.id) == ("failed", "no such tensor", old)


def test_a_rollback_goes_to_what_was_ready_before(platform, owner, make_version, desired) -> None:
    make_version()
    deployments.deploy(platform, owner, model="mood", endpoint="live")
    ready(desired)
    with pytest.raises(Conflict) as caught:
        deployments.rollback(platform, owner, "live")
    assert caught.value.code == "nothing_to_roll_back_to"
    for content in (b"two", b"three"):
        make_version(content=content)
        deployments.deploy(platform, owner, model="mood", endpoint="live")
    ready(desired)  # version 2 was replaced before it was ever ready
    assert deployments.rollback(platform, owner, "live").version == 1


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
