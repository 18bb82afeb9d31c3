"""Deleting datasets and models over HTTP: who may, what is refused, what is left."""

from __future__ import annotations

import pytest

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.control import deployments
from hanlin.errors import NotFound
from hanlin.storage.manifest import Manifest

TASK = "text-classification"


async def test_a_dataset_is_deleted_by_version_and_whole(http, platform) -> None:
    one = platform.registry.create_dataset_version(DEFAULT_TEAM, "reviews", TASK, Manifest(()), {})
    lineage = {"dataset": str(one), "dataset_digest": one.digest}
    platform.registry.create_version(DEFAULT_TEAM, "mood", TASK, manifest=Manifest(()), lineage=lineage, metrics={}, labels=())
    path = "/api/v1/datasets/reviews"
    async with http.client(http.key("read")) as reader:
        assert (await reader.delete(path)).status_code == 403
    async with http.client(http.key("write")) as client:
        for asked in (path, f"{path}/versions/1"):
            refused = await client.delete(asked)
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "dataset_in_lineage")
            assert "mood:1" in refused.json()["error"]["message"]
        assert (await client.delete(f"{path}/versions/1?force=perhaps")).status_code == 422
        assert (await client.delete(f"{path}/versions/1?force=true")).status_code == 204
        assert (await client.delete(f"{path}/versions/1?force=true")).status_code == 404
    async with http.client(http.key()) as client:
        assert (await client.get(path)).json()["versions"] == []
        assert (await client.delete(path)).status_code == 204
        assert (await client.get(path)).status_code == 404


async def test_a_model_is_deleted_whole(http, platform, make_version) -> None:
    make_version()
    make_version()
    platform.registry.set_alias(DEFAULT_TEAM, "mood", "production", 2)
    job = platform.jobs.submit(DEFAULT_TEAM, "compress", {"model": "mood:1"})
    async with http.client(http.key()) as client:
        refused = await client.delete("/api/v1/models/mood")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "in_use")
        assert refused.json()["error"]["message"] == f"mood is in use by job {job.id}, alias production"
        assert (
            f"`hanlin job wait {job.id}` / `hanlin job cancel {job.id}`; `hanlin model demote mood production`"
            in refused.json()["error"]["next"]
        )
        platform.jobs.cancel(DEFAULT_TEAM, job.id)
        assert len((await client.get("/api/v1/models/mood")).json()["versions"]) == 2
        assert (await client.delete("/api/v1/models/mood/aliases/production")).status_code == 204
        assert (await client.delete("/api/v1/models/mood")).status_code == 204
        assert (await client.get("/api/v1/models")).json() == {"models": []}


@pytest.mark.parametrize("has_heir", [False, True])
def test_a_version_that_is_deleted_while_it_is_deployed_is_not_found(platform, owner, make_version, monkeypatch, has_heir: bool) -> None:
    """SQLite gives the id to the next version that is made: unpublished, of another model, it would have served."""
    make_version()

    def late(*_: object) -> str:
        platform.registry.delete_model(DEFAULT_TEAM, "mood")
        if has_heir:
            make_version("other", state="candidate")
        return "torch-fp32"

    monkeypatch.setattr(deployments, "_certified_variant", late)
    with pytest.raises(NotFound) as caught:
        deployments.deploy(platform, owner, model="mood", endpoint="live")
    assert "mood:1" in str(caught.value.params["name"])
    assert deployments.list_endpoints(platform, owner) == []
