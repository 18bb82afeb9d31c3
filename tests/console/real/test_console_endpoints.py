"""How the console sees an endpoint, and what its settings change."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from hanlin.console.adapter import PlatformPort
from hanlin.console.views import EndpointSettings
from hanlin.control import deployments
from hanlin.control.desired import DeclaredDeployments
from hanlin.control.platform import Platform
from hanlin.errors import InvalidInput, PermissionDenied
from hanlin.messages.said import Said
from hanlin.types import Principal


def test_why_an_endpoint_does_not_serve_is_told_in_both_languages(
    platform: Platform, port: PlatformPort, owner: Principal, model: str
) -> None:
    (declared,) = deployments.list_deployments(platform, owner)
    DeclaredDeployments(platform).set_state(declared.id, "failed", Said("artifact_corrupt", {"digest": "d1"}), 0)
    endpoint = port.get_endpoint(owner, "mood")
    assert endpoint.state == "failed"
    assert "Restore this blob" in endpoint.reason["en"]
    assert "与摘要 d1 不符" in endpoint.reason["zh"]


def test_an_endpoint_is_seen(port: PlatformPort, owner: Principal, model: str) -> None:
    endpoint = port.get_endpoint(owner, "mood")
    assert (endpoint.model, endpoint.version, endpoint.variant, endpoint.state) == ("reviews", 1, "openvino-int8", "starting")
    assert endpoint.labels == ("neg", "pos")
    assert [item.name for item in port.list_endpoints(owner)] == ["mood"]


def test_settings_change_only_what_differs(platform: Platform, port: PlatformPort, owner: Principal, model: str) -> None:
    def ids() -> list[str]:
        return [item.id for item in deployments.list_deployments(platform, owner)]

    before, plain = ids(), port.get_endpoint(owner, "mood").settings
    assert plain == EndpointSettings()
    assert port.configure_endpoint(owner, "mood", plain) is False
    told = replace(plain, long_text="window", cache_ttl_s=60, min_replicas=0, max_replicas=3)
    assert port.configure_endpoint(owner, "mood", told) is False
    assert ids() == before
    assert port.get_endpoint(owner, "mood").settings == told
    moved = replace(told, isolation="shared", idle_s=90)
    assert port.configure_endpoint(owner, "mood", moved) is True
    assert len(ids()) == len(before) + 1
    assert port.get_endpoint(owner, "mood").settings == moved
    assert (port.get_endpoint(owner, "mood").version, port.get_endpoint(owner, "mood").variant) == (1, "openvino-int8")


def test_settings_that_are_refused_change_nothing(port: PlatformPort, owner: Principal, model: str) -> None:
    with pytest.raises(InvalidInput, match="replicas"):
        port.configure_endpoint(owner, "mood", EndpointSettings(min_replicas=3, max_replicas=2, cache_ttl_s=60))
    with pytest.raises(PermissionDenied):
        port.configure_endpoint(replace(owner, scopes=frozenset({"read"})), "mood", EndpointSettings(cache_ttl_s=60))
    assert port.get_endpoint(owner, "mood").settings == EndpointSettings()


def test_an_endpoint_whose_model_takes_pairs_is_asked_about_two_texts(port: PlatformPort, owner: Principal, model: str) -> None:
    def seen(task: str, *, pairs: bool) -> bool:
        info = SimpleNamespace(task=task, languages=(), talks=False, pairs=pairs)
        port._dataplane.find = lambda principal, endpoint: SimpleNamespace(info=info)  # type: ignore[method-assign]
        return port.get_endpoint(owner, "mood").pairs

    found = [seen(task, pairs=pairs) for task, pairs in (("sentiment", True), ("sentiment", False), ("question-answering", True))]
    assert found == [True, False, False]
