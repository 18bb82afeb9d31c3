"""The road through a real server: data in, a compressed, certified, callable service out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hanlin.client import Hanlin
from hanlin.errors import Conflict

pytestmark = pytest.mark.e2e
PACKAGES = Path(__file__).parents[2] / "build" / "packages"
# A network of a few thousand weights: every step of the road is real, none is long.
TINY = {
    "epochs": 2,
    "rate": 0.01,
    "hidden_size": 16,
    "embedding_size": 16,
    "ngrams": False,
    "max_length": 96,
    "precision": "fp32",
    "threads": 1,
}
TRAIN = {"dataset": "reviews", "model": "lstm", "name": "sentiment", "options": TINY}
TEXTS = ["质量很好，下次还来", "太差了，再也不买", "一般"]


@pytest.fixture(scope="module")
def server(make_server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """With the rows of certificates and compressions that users have."""
    usual = {"HANLIN_CERTIFICATE_ROWS": "200", "HANLIN_COMPRESSION_ROWS": "10000"}
    found = make_server(tmp_path_factory.mktemp("road") / "home", **usual).start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def dataset(client: Hanlin, reviews: Path) -> dict[str, object]:
    job = client.jobs.wait(client.datasets.add("reviews", reviews, task="text-classification").id, timeout=120)
    assert job.result is not None
    return job.result


@pytest.fixture(scope="module")
def trained(client: Hanlin, dataset: dict[str, object]) -> dict[str, object]:
    job = client.jobs.wait(client.jobs.submit("train", TRAIN).id, timeout=300)
    assert job.result is not None
    return job.result


@pytest.fixture(scope="module")
def compressed(client: Hanlin, trained: dict[str, object]) -> dict[str, object]:
    config = {"model": "sentiment", "budget": 2, "target": "latency", "variants": ["onnxruntime-fp32", "openvino-fp32"]}
    job = client.jobs.wait(client.jobs.submit("compress", config).id, timeout=300)
    assert job.result is not None
    return job.result


@pytest.fixture(scope="module")
def deployed(client: Hanlin, compressed: dict[str, object]) -> str:
    version = client.models.get("sentiment").versions[0].number
    client.models.promote("sentiment", "production", version)
    client.deployments.wait(client.deployments.create("sentiment@production", "mood"), timeout=120)
    return "mood"


def test_a_dataset_is_stored_with_its_report(dataset, client) -> None:
    stored = client.datasets.get("reviews").versions[0]
    assert dataset["version"] == stored.number == 1
    assert stored.report["rows_kept"] == stored.rows >= 2300


def test_training_ends_in_a_certified_published_version(trained, client) -> None:
    version = client.models.get("sentiment").versions[0]
    assert (trained["state"], version.state, trained["reused"]) == ("published", "published", False)
    assert 0.5 < version.metrics["accuracy"] <= 1
    assert {"dataset_digest", "config", "seed", "code_version", "machine", "parent"} <= version.lineage.keys()
    certificate = version.certificates[0]
    assert certificate.is_passed
    assert certificate.report["rows"] >= 200
    assert certificate.report["label_agreement"] == 1.0
    assert certificate.report["label_agreement_interval"][1] == 1.0
    assert certificate.report["max_score_difference"] <= 1e-4
    assert sorted(version.pictures) == ["confusion", "curve"]


def test_the_same_request_is_answered_at_once(trained, client) -> None:
    again = client.jobs.wait(client.jobs.submit("train", TRAIN).id, timeout=60).result
    assert again is not None
    assert (again["reused"], again["version"]) == (True, trained["version"])
    assert len(client.models.get("sentiment").versions) == 1


def test_the_chosen_variant_is_certified_and_measured(compressed, client) -> None:
    version = client.models.get("sentiment").versions[0]
    chosen = next(item for item in version.variants if item.is_chosen)
    assert chosen.variant == compressed["chosen"]
    assert any(item.is_passed and item.variant == chosen.variant for item in version.certificates)
    assert {item.variant for item in version.variants} == {"torch-fp32", "onnxruntime-fp32", "openvino-fp32"}
    assert "pareto" in version.pictures


def test_an_endpoint_answers_in_the_hugging_face_shape(deployed, client, server) -> None:
    headers = {"authorization": f"Bearer {server.key}"}
    single = httpx.post(f"{server.url}/models/{deployed}", json={"inputs": TEXTS[0]}, headers=headers).json()
    assert {row["label"] for row in single} == {"positive", "negative"}
    assert sum(row["score"] for row in single) == pytest.approx(1.0, abs=1e-4)
    assert [found.label for found in client.classify(deployed, TEXTS)] == [client.classify(deployed, text).label for text in TEXTS]


def test_a_version_in_use_is_not_deleted(deployed, client) -> None:
    with pytest.raises(Conflict) as caught:
        client.models.delete("sentiment", 1)
    assert caught.value.code == "in_use"


def test_a_compression_that_is_killed_leaves_its_version_as_it_was_and_goes_on(compressed, client, server) -> None:
    """C129."""
    before = client.models.get("sentiment").versions
    config = {"model": "sentiment", "budget": 2, "target": "throughput", "variants": ["onnxruntime-fp32", "openvino-fp32"]}
    job = client.jobs.submit("compress", config)
    deadline_s = time.monotonic() + 120
    while (progress := client.jobs.get(job.id).progress) is None or not progress.step:
        assert time.monotonic() < deadline_s, "it makes no progress"
        time.sleep(0.05)
    server.find(f"hanlin job {job.id}").kill()
    assert client.models.get("sentiment").versions == before
    assert not client.jobs.get(job.id).has_ended, "it was not killed in the middle"
    ended = client.jobs.wait(job.id, timeout=300)
    assert ended.result is not None
    assert {row["status"] for row in ended.result["report"]["variants"]} == {"ok"}
    assert [version.number for version in client.models.get("sentiment").versions] == [version.number for version in before]


def test_private_endpoints_leave_nothing_behind(compressed, client) -> None:
    assert [endpoint for endpoint in client.endpoints.list() if endpoint.endpoint.startswith(".")] == []
    assert [key.name for key in client.keys.list()] == ["owner"]


def test_a_new_version_takes_over_and_rolls_back(deployed, client) -> None:
    client.jobs.wait(client.jobs.submit("train", TRAIN | {"seed": 1}).id, timeout=300)
    client.deployments.wait(client.deployments.create("sentiment:2", deployed), timeout=120)
    assert client.endpoints.get(deployed).version == 2
    client.deployments.wait(client.endpoints.rollback(deployed), timeout=120)
    assert client.endpoints.get(deployed).version == 1
    assert client.classify(deployed, TEXTS[0]).label in {"positive", "negative"}


def test_undeployed_endpoints_are_gone(deployed, client, server) -> None:
    client.endpoints.delete(deployed)
    answer = httpx.post(f"{server.url}/models/{deployed}", json={"inputs": "x"}, headers={"authorization": f"Bearer {server.key}"})
    assert answer.status_code == 404


def test_a_base_is_imported_and_published_but_not_deployed(client) -> None:
    """A folder without a head needs no certificate: it can be fine-tuned, not called."""
    from hanlin.datasets import bundled

    files = client.blobs.upload(bundled.minilm(PACKAGES))
    config = {"name": "minilm", "files": [file.model_dump() for file in files]}
    result = client.jobs.wait(client.jobs.submit("import", config).id, timeout=300).result
    assert result is not None
    version = client.models.get("minilm").versions[0]
    assert (result["state"], version.is_base, list(version.certificates)) == ("published", True, [])
    with pytest.raises(Conflict) as caught:
        client.deployments.create("minilm", "base")
    assert caught.value.code == "base_has_no_head"
