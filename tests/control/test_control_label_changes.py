"""Whoever lets a version with other labels serve is told which are new and which are gone: at deploy, trial, rollback and alias."""

from __future__ import annotations

from hanlin.control import deployments, models, trials
from hanlin.control.rollback import roll_back


def test_a_deployment_is_compared_with_what_serves_now(platform, owner, make_version, desired, ready) -> None:
    make_version()
    make_version(labels=("b", "a"))
    make_version(labels=("a", "c"))
    make_version(labels=("d",))

    def deploy(reference: str, **options: int) -> list[str]:
        view = deployments.deploy(platform, owner, model=reference, endpoint="live", **options)
        return [said.text("en") for said in view.warnings]

    assert deploy("mood:1") == [], "nothing served before"
    ready()
    assert deploy("mood:2") == [], "their order does not matter"
    changed = ["the labels are not those of mood:1: new are c; gone are b"]
    assert deploy("mood:3") == changed
    assert deploy("mood:3") == changed, "asked again"
    assert deploy("mood:4") == ["the labels are not those of mood:1: new are d; gone are a, b"], "version 3 never served"
    assert deploy("mood:3") == changed
    ready()
    desired.set_state(desired.list_deployments()[0].deployment_id, "stopped", None, 0)
    back = roll_back(platform, owner, "live").view
    assert [said.text("en") for said in back.warnings] == ["the labels are not those of mood:3: new are b; gone are c"]
    deployments.undeploy(platform, owner, "live")
    assert deploy("mood:4") == []


def test_a_trial_is_compared_when_it_begins_and_when_it_is_promoted(platform, owner, make_version, ready) -> None:
    make_version()
    make_version(labels=("a", "c"))
    deployments.deploy(platform, owner, model="mood:1", endpoint="live")
    ready()
    begun = deployments.deploy(platform, owner, model="mood:2", endpoint="live", canary=10)
    ready()
    for view in (begun, trials.promote(platform, owner, "live")):
        assert [said.code for said in view.warnings] == ["labels_changed"]


async def test_the_answers_tell_it_in_the_callers_language(http, make_version, desired) -> None:
    make_version()
    make_version(labels=("a", "b", "c"))
    told = {"code": "labels_new", "params": {"former": "mood:1", "new": "c"}, "message": "标签与 mood:1 不同：新增 c"}
    async with http.client(http.key()) as client:
        client.headers["accept-language"] = "zh"
        path, deployed = "/api/v1/models/mood/aliases/production", "/api/v1/deployments"
        assert (await client.put(path, json={"version": 1})).json()["warnings"] == []
        assert (await client.put(path, json={"version": 2})).json()["warnings"] == [told]
        assert (await client.put(path, json={"version": 2})).json()["warnings"] == []
        first = (await client.post(deployed, json={"model": "mood:1", "endpoint": "live"})).json()
        assert first["warnings"] == []
        found = await client.post(deployed, json={"model": "mood:2", "endpoint": "live"})
        assert (found.status_code, found.json()["warnings"]) == (202, [told])


def test_an_alias_is_compared_with_what_it_meant(platform, owner, make_version) -> None:
    make_version()
    make_version(labels=("a",))
    models.set_alias(platform, owner, "mood", "staging", 2)
    assert models.set_alias(platform, owner, "mood", "production", 1).warnings == ()
    moved = models.set_alias(platform, owner, "mood", "production", 2)
    assert (moved.version.number, [said.code for said in moved.warnings]) == (2, ["labels_gone"])
