"""A smaller decoder beside a larger one: who may be one, what is declared of it, and which files go to the worker."""

from __future__ import annotations

import pytest

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.control import deployments, trials
from hanlin.control.rollback import roll_back
from hanlin.errors import Conflict, InvalidInput, NotFound
from hanlin.registry.values import ModelVersion
from hanlin.storage.manifest import Manifest, ManifestFile
from hanlin.types import Digest

FILES = ("variants/openvino-int8/model.xml", "variants/openvino-int8/model.bin")


@pytest.fixture
def make_decoder(platform, make_version):
    """A decoder with a certified int8 variant of openvino beside what was trained."""

    def make(name: str, content: bytes = b"weights") -> ModelVersion:
        version = make_version(name, task="text-generation", labels=(), content=content)
        files = (ManifestFile(path, Digest(platform.blobs.put(content + path.encode())), len(content) + len(path)) for path in FILES)
        platform.registry.add_variant(version, "openvino-int8", Manifest(tuple(files)), {"status": "ok"}, is_chosen=False)
        return platform.registry.add_certificate(version, "openvino-int8", {"rows": 200}, is_passed=True)

    return make


def test_a_draft_is_declared_kept_and_laid_out_beside_the_files_of_its_model(platform, owner, make_decoder, desired, ready) -> None:
    make_decoder("big")
    make_decoder("small", b"small weights")
    first = deployments.deploy(platform, owner, model="big", endpoint="chat", variant="openvino-int8", draft="small")
    assert first.draft == "small:1"
    (spec,) = desired.list_deployments()
    folder = desired.materialize(spec)
    assert {"model.safetensors", *FILES, *(f"draft/{path}" for path in FILES)} <= {
        path.relative_to(folder).as_posix() for path in folder.rglob("*")
    }
    assert (folder / "draft" / FILES[1]).read_bytes() == b"small weights" + FILES[1].encode()
    ready()
    with pytest.raises(Conflict, match=r"endpoint chat"):
        platform.registry.delete_model(DEFAULT_TEAM, "small")
    again = deployments.deploy(platform, owner, model="big", endpoint="chat", variant="openvino-int8")
    assert again.id == first.id, "what is not said stays"
    with pytest.raises(Conflict, match="this very version"):
        deployments.deploy(platform, owner, model="big", endpoint="chat", variant="openvino-int8", canary=10)
    tried = deployments.deploy(platform, owner, model="big", endpoint="chat", variant="openvino-int8", draft="", canary=10)
    assert (tried.draft, tried.role) == ("", "canary")
    ready()
    assert trials.promote(platform, owner, "chat").draft == ""
    plain = [spec for spec in desired.list_deployments() if not spec.draft]
    assert not (desired.materialize(plain[-1]) / "draft").exists()
    assert deployments.deploy(platform, owner, model="small", endpoint="chat", variant="torch-fp32").draft == ""
    ready()
    assert roll_back(platform, owner, "chat", to="big:1").view.draft == ""
    ready()
    deployments.deploy(platform, owner, model="big", endpoint="chat", variant="openvino-int8", draft="small")
    ready()
    back = roll_back(platform, owner, "chat").view
    assert (back.model, back.draft) == ("big", ""), "a draft model is taken back by itself"


def test_an_endpoint_goes_back_to_a_model_whose_draft_was_deleted(platform, owner, make_decoder, desired, ready) -> None:
    make_decoder("big")
    make_decoder("small", b"small weights")
    deployments.deploy(platform, owner, model="big", endpoint="chat", variant="openvino-int8", draft="small")
    guessed = ready()
    deployments.deploy(platform, owner, model="big", endpoint="chat", variant="torch-fp32", draft="")
    ready()
    desired.set_state(guessed, "stopped", None, 0)
    platform.registry.delete_model(DEFAULT_TEAM, "small")
    assert roll_back(platform, owner, "chat").view.draft == ""
    (spec,) = [spec for spec in desired.list_deployments() if spec.variant == "openvino-int8"]
    assert not (desired.materialize(spec) / "draft").exists()


def test_what_cannot_guess_is_refused_and_the_endpoint_left_as_it_is(platform, owner, make_decoder, make_version) -> None:
    make_decoder("big")
    make_version("mood")
    make_version("plain", task="text-generation", labels=())
    make_version("raw", task="text-generation", labels=(), state="certified", content=b"other")

    def code_of(model: str, variant: str, draft: str) -> str:
        with pytest.raises((InvalidInput, Conflict, NotFound)) as caught:
            deployments.deploy(platform, owner, model=model, endpoint="chat", variant=variant, draft=draft)
        return caught.value.code

    assert code_of("big", "torch-fp32", "big") == "draft_not_served"
    assert code_of("mood", "torch-fp32", "big") == "draft_not_served"
    assert code_of("big", "openvino-int8", "mood") == "draft_does_not_fit"
    assert code_of("big", "openvino-int8", "plain") == "draft_does_not_fit"  # no variant of the engine
    assert code_of("big", "openvino-int8", "raw:1") == "not_published"
    assert code_of("big", "openvino-int8", "nobody") == "not_found"
    assert not deployments.list_deployments(platform, owner)


async def test_the_door_takes_and_tells_it(http, make_decoder) -> None:
    make_decoder("big")
    async with http.client(http.key()) as client:
        body = {"model": "big", "endpoint": "chat", "variant": "openvino-int8", "draft": "big:1"}
        found = await client.post("/api/v1/deployments", json=body)
        assert (found.status_code, found.json()["draft"]) == (202, "big:1")
        refused = await client.post("/api/v1/deployments", json=body | {"variant": "torch-fp32"}, headers={"accept-language": "zh"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "draft_not_served")
        assert "草稿模型" in refused.json()["error"]["message"]
