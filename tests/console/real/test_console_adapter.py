"""The real port: a home with a model, a job, an endpoint and keys; the pages' views of them, and the pages themselves over it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.console.real.served import METRICS, TEAM, FakeDataplane

from hanlin.console import create_console
from hanlin.console.adapter import PlatformPort
from hanlin.control import jobs
from hanlin.control.platform import Platform
from hanlin.errors import NotFound, PermissionDenied, Unauthenticated
from hanlin.messages.said import Said
from hanlin.storage.manifest import Manifest, pack_folder
from hanlin.types import KeyId, Principal, TeamId


def test_a_version_is_seen_whole(port: PlatformPort, owner: Principal, model: str) -> None:
    found = port.get_model(owner, model)
    version = found.versions[0]
    assert found.aliases == (("production", 1),)
    assert version.state == "published"
    assert version.metrics is not None
    assert (version.metrics.value, version.metrics.interval, version.metrics.ece) == (0.9, (0.8, 0.95), 0.05)
    assert version.metrics.confusion == ((4, 1), (0, 5))
    assert (version.budget, version.target) == (0.5, "throughput")
    assert version.chosen is not None
    assert (version.chosen.variant, version.chosen.rows_per_s, version.chosen.p99_ms) == ("openvino-int8", 2000.0, 2.0)
    certificate = version.certificates[0]
    assert (certificate.rows, certificate.agreement, certificate.max_difference, certificate.tolerance) == (200, 0.995, 0.01, 0.05)
    assert certificate.agreement_interval == (0.972, 0.9991)
    assert [[said.code for said in told] for told in (version.warnings, version.search_warnings)] == [
        ["few_test_rows"],
        ["few_rows_for_budget"],
    ]
    assert ("dataset", "r:1") in version.lineage
    assert ("seed", "0") in version.lineage
    assert [name for name, _ in version.lineage] == ["dataset", "seed"]


def test_a_dataset_is_seen_with_what_was_trained_on_it(platform: Platform, port: PlatformPort, owner: Principal, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    manifests = []
    for text in ("one", "two"):
        (tmp_path / "rows" / "manifest.json").write_text(text)
        manifests.append(pack_folder(tmp_path / "rows", platform.blobs))
    first, second = (
        platform.registry.create_dataset_version(TEAM, "r", "text-classification", manifest, {"rows_kept": 10}) for manifest in manifests
    )
    lineages = (
        {"dataset": "r:2", "dataset_digest": second.digest},
        {"dataset": "r:2", "dataset_digest": first.digest},
        {"dataset": "r:1", "dataset_digest": first.digest},
        {"dataset": ["r:2"]},
    )
    for lineage in lineages:
        platform.registry.create_version(
            TEAM, "m", "text-classification", manifest=manifests[0], lineage=lineage, metrics=METRICS, labels=("neg", "pos")
        )
    found = port.get_dataset(owner, "r")
    assert [(item.number, item.rows_kept) for item in found.versions] == [(2, 10), (1, 10)]
    assert [[(made.model, made.number) for made in item.trained] for item in found.versions] == [[("m", 1)], [("m", 3)]]
    assert found.versions[0].trained[0].metrics is not None
    assert port.list_datasets(owner) == [found]


def test_pictures_speak_the_readers_language(port: PlatformPort, owner: Principal, model: str) -> None:
    english, chinese = (port.picture(owner, model, 1, "pareto", language).decode() for language in ("en", "zh"))
    assert english.startswith("<svg")
    assert "openvino-int8" in english
    assert any("\u4e00" <= sign <= "\u9fff" for sign in chinese)
    assert port.picture(owner, model, 1, "curve", "en") == b"<svg/>"
    with pytest.raises(NotFound):
        port.picture(owner, model, 1, "none", "en")


def test_a_job_and_its_events_are_seen(platform: Platform, port: PlatformPort, owner: Principal, model: str) -> None:
    job = jobs.submit(platform, owner, kind="compress", config={"model": "reviews:1"})
    held = platform.jobs.claim("runner", ["heavy", "light"], 30)
    assert held is not None
    platform.jobs.report(
        held, step=3, total=10, metrics={"loss": 0.5, "odd": float("nan")}, messages=[Said("training_resumed", {"step": 3})]
    )
    view = port.get_job(owner, job.id)
    assert (view.kind, view.subject, view.state, view.step, view.total) == ("compress", "reviews:1", "running", 3, 10)
    events = port.job_events(owner, job.id, 0)
    assert ("loss", 0.5) in [figure for event in events for figure in event.metrics]
    assert "从第 3 步继续" in [event.said.text("zh") for event in events if event.said]
    assert view.said is not None
    assert view.said.text("en") == "resumed at step 3"
    assert port.job_events(owner, job.id, events[-1].seq) == []
    assert [item.id for item in port.list_jobs(owner, 5)] == [job.id]


async def test_classify_takes_the_dataplane(port: PlatformPort, owner: Principal) -> None:
    answer = await port.classify(owner, "mood", "good", "en")
    assert answer.scores == (("pos", 0.9), ("neg", 0.1))
    assert (answer.model, answer.version, answer.variant, answer.engine_ms) == ("reviews", 1, "openvino-int8", 1.3)


def test_keys_are_resumed_by_id_until_they_are_revoked(platform: Platform, port: PlatformPort, owner: Principal) -> None:
    assert port.resume(owner.key_id) == owner
    key, _ = platform.accounts.create_key(TEAM, "reader", ["read"])
    assert port.resume(key.id).scopes == {"read"}
    platform.accounts.revoke_key(TEAM, key.id)
    for key_id in (key.id, KeyId("none")):
        with pytest.raises(Unauthenticated):
            port.resume(key_id)


def test_scopes_are_checked_behind_the_pages(port: PlatformPort, model: str) -> None:
    nobody = Principal(TEAM, KeyId("k"), frozenset({"predict"}))
    for call in (port.list_models, port.list_endpoints, port.list_datasets):
        with pytest.raises(PermissionDenied):
            call(nobody)


def test_the_real_pages(platform: Platform, secret: str, model: str) -> None:
    visitor = TestClient(
        create_console(platform, dataplane=FakeDataplane(platform.accounts, settings=platform.settings)), base_url="http://console.test"
    )
    token = visitor.get("/console/login").text.split('name="csrf" value="')[1][:64]
    assert "mood" in visitor.post("/console/login", data={"csrf": token, "key": secret, "next": "/"}).text
    for path in ("/console/models", "/console/models/reviews", "/console/models/reviews/1", "/console/jobs", "/console/endpoints/mood"):
        assert visitor.get(path).status_code == 200, path
    page = visitor.get("/console/models/reviews/1").text
    for words in ("99.50", "stamp.svg", "pictures/pareto.svg", "pictures/curve.svg", "chosen"):
        assert words in page
    token = page.split('name="csrf" value="')[1][:64]
    headers = {"x-csrf-token": token, "hx-request": "true"}
    assert "90.0" in visitor.post("/console/endpoints/mood/classify", data={"text": "good"}, headers=headers).text
    odd = visitor.post("/console/endpoints/mood/classify", data={"text": "odd"}, headers=headers)
    assert (odd.status_code, "cannot show" in odd.text) == (422, True)


def test_another_team_finds_nothing_by_address(platform: Platform, port: PlatformPort, owner: Principal, model: str) -> None:
    """C042: as if it were not there, whatever is asked of it."""
    platform.registry.create_dataset_version(TEAM, "r", "text-classification", Manifest(()), {})
    stranger = Principal(TeamId("other"), KeyId("k"), frozenset({"admin"}))
    assert (port.get_dataset(owner, "r").name, port.get_endpoint(owner, "mood").name) == ("r", "mood")
    assert [*port.list_datasets(stranger), *port.list_models(stranger), *port.list_endpoints(stranger), *port.list_jobs(stranger, 9)] == []
    settings = replace(port.get_endpoint(owner, "mood").settings, max_replicas=9)
    for ask in (
        lambda: port.get_dataset(stranger, "r"), lambda: port.get_model(stranger, "reviews"), lambda: port.get_endpoint(stranger, "mood"),
        lambda: port.configure_endpoint(stranger, "mood", settings), lambda: port.card(stranger, "reviews", 1, "en"),
        lambda: port.picture(stranger, "reviews", 1, "curve", "en"),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            ask()
    assert port.get_endpoint(owner, "mood").settings.max_replicas == 1
