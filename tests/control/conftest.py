"""A platform over a temporary home, and its HTTP app in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.app import open_platform
from hanlin.control.desired import DeclaredDeployments
from hanlin.control.platform import Platform
from hanlin.gateway.app import create_app
from hanlin.gateway.control_api import create_control_router
from hanlin.gateway.dataplane import Dataplane
from hanlin.registry.values import ModelVersion
from hanlin.serving.router import Router
from hanlin.settings import Settings, load_settings
from hanlin.storage.manifest import Manifest, ManifestFile
from hanlin.storage.tables import TeamRow
from hanlin.types import SCOPES, Digest, KeyId, Principal, Scope, TeamId, utc_now

OTHER_TEAM = TeamId("other")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({}, home=tmp_path / "home", max_upload_bytes=4 * 2**20)


@pytest.fixture
def platform(settings: Settings, migrated_file: Path) -> Iterator[Platform]:
    settings.home.mkdir()
    shutil.copy(migrated_file, settings.home)
    found = open_platform(settings)
    with found.database.write() as session:
        session.add(TeamRow(team_id=OTHER_TEAM, name="other", is_active=True, created_at=utc_now()))
    yield found
    found.close()


@pytest.fixture
def owner() -> Principal:
    return Principal(DEFAULT_TEAM, KeyId("k"), frozenset({"admin"}))


@pytest.fixture
def stranger() -> Principal:
    return Principal(OTHER_TEAM, KeyId("k2"), frozenset({"admin"}))


@dataclass
class Http:
    """The app, and keys for it."""

    app: object
    platform: Platform
    router: Router
    dataplane: Dataplane

    def key(self, *scopes: Scope, team: TeamId = DEFAULT_TEAM) -> str:
        return self.platform.accounts.create_key(team, "test", scopes or SCOPES)[1]

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://here", headers=headers)


@pytest.fixture
def http(platform: Platform, settings: Settings) -> Http:
    dataplane = Dataplane(platform.accounts, settings=settings)
    app = create_app(dataplane, control_router=create_control_router(platform, dataplane))
    return Http(app, platform, dataplane.router, dataplane)


@pytest.fixture
def desired(platform: Platform) -> DeclaredDeployments:
    return DeclaredDeployments(platform)


@pytest.fixture
def ready(desired: DeclaredDeployments) -> Callable[[], str]:
    """`ready()`: the newest wanted deployment becomes ready; its id."""

    def make_ready() -> str:
        newest = desired.list_deployments()[-1].deployment_id
        desired.set_state(newest, "ready", None, 1)
        return newest

    return make_ready


@pytest.fixture
def make_version(platform: Platform):
    """Makes a version with one file and, unless told otherwise, a passed certificate, published."""

    def make(
        name: str = "mood",
        *,
        team: TeamId = DEFAULT_TEAM,
        state: str = "published",
        content: bytes = b"weights",
        task: str = "text-classification",
        labels: tuple[str, ...] = ("a", "b"),
    ) -> ModelVersion:
        digest = platform.blobs.put(content)
        manifest = Manifest((ManifestFile("model.safetensors", Digest(digest), len(content)), *_picture(platform)))
        version = platform.registry.create_version(
            team, name, task, manifest=manifest, lineage={"dataset": "reviews:1"}, metrics={"accuracy": 0.9},
            labels=labels,
        )  # fmt: skip
        platform.registry.add_variant(version, "torch-fp32", None, {"status": "ok"}, is_chosen=True)
        if state != "candidate":
            version = platform.registry.add_certificate(version, "torch-fp32", {"rows": 200}, is_passed=True)
        return platform.registry.publish(version) if state == "published" else version

    return make


def _picture(platform: Platform) -> tuple[ManifestFile, ...]:
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    return (ManifestFile("pictures/confusion.svg", Digest(platform.blobs.put(svg)), len(svg)),)
