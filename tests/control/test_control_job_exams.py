"""What a compression or a certificate is told of language models is looked at when it is submitted: bounds, and tasks asked besides."""

from __future__ import annotations

from typing import Any

import pytest

from hanlin.accounts.service import DEFAULT_TEAM
from hanlin.control import jobs
from hanlin.control.platform import Platform
from hanlin.errors import HanlinError
from hanlin.storage.manifest import Manifest, ManifestFile
from hanlin.types import Digest, JsonObject, Principal


def packed(platform: Platform, **files: bytes) -> Manifest:
    names = {"config": "config.json", "model": "model.safetensors", "tokenizer": "tokenizer.json", "spec": "hanlin.json"}
    found = [ManifestFile(names.get(name, name), Digest(platform.blobs.put(data)), len(data)) for name, data in files.items()]
    return Manifest(tuple(found))


@pytest.fixture
def decoders(platform: Platform) -> Platform:
    """`teller` goes on with texts, `told` translates by its weights, `far` by others; `steps` has translations, `says` texts."""
    made: list[tuple[str, str, bytes, JsonObject]] = [
        ("teller", "text-generation", b"weights", {}), ("far", "translation", b"others", {"prompt": True}),
        ("told", "translation", b"weights", {"prompt": True, "dataset": "steps:1"}), ("labels", "text-classification", b"weights", {}),
    ]  # fmt: skip
    for name, task, weights, lineage in made:
        platform.registry.create_version(
            DEFAULT_TEAM, name, task, manifest=packed(platform, config=b"{}", model=weights, tokenizer=b"t", spec=name.encode()),
            lineage=lineage, metrics={}, labels=("a", "b") if name == "labels" else (),
        )  # fmt: skip
    for name, task in (("steps", "translation"), ("says", "text-generation")):
        platform.registry.create_dataset_version(DEFAULT_TEAM, name, task, packed(platform, rows=name.encode()), {})
    for name, adapter in (("old", b"one"), ("new", b"two")):  # over the same base
        parts = {"config": b"{}", "tokenizer": b"t", "base/model.safetensors": b"weights", "adapter_model.safetensors": adapter}
        platform.registry.create_version(
            DEFAULT_TEAM, name, "translation", manifest=packed(platform, **parts), lineage={"dataset": "steps:1"}, metrics={}, labels=(),
        )  # fmt: skip
    adapted = platform.registry.create_version(
        DEFAULT_TEAM, "adapted", "text-generation", lineage={}, metrics={}, labels=(),
        manifest=packed(platform, **{"config": b"{}", "tokenizer": b"t", "adapter_model.safetensors": b"low-rank"}),
    )  # fmt: skip
    platform.registry.create_version(  # over it: its matrices are taken into the weights
        DEFAULT_TEAM, "asks", "translation", manifest=packed(platform, config=b"{}", model=b"merged", tokenizer=b"t"), metrics={},
        labels=(), lineage={"prompt": True, "dataset": "steps:1", "parent": str(adapted), "parent_digest": adapted.digest},
    )  # fmt: skip
    return platform


@pytest.mark.parametrize(
    ("kind", "config", "code"),
    [
        ("compress", {"model": "teller:1", "task_rows": 5}, "task_option_alone"),
        ("compress", {"model": "teller:1", "task_budget": 1.0}, "task_option_alone"),
        ("certify", {"model": "teller:1", "task_rows": 5}, "task_option_alone"),
        ("compress", {"model": "teller:1", "task_dataset": "steps"}, "task_not_written"),
        ("certify", {"model": "labels:1", "task_dataset": "steps"}, "task_not_written"),
        ("compress", {"model": "teller:1", "task_model": "told:1", "task_dataset": "says"}, "task_mismatch"),
        ("compress", {"model": "teller:1", "task_model": "far:1", "task_dataset": "steps"}, "task_of_other_weights"),
        ("certify", {"model": "new:1", "task_model": "old:1"}, "task_of_other_weights"),
        ("compress", {"model": "teller:1", "task_model": "asks:1"}, "task_of_other_weights"),
        ("compress", {"model": "far:1", "task_model": "far:1"}, "dataset_needed"),
        ("compress", {"model": "teller:1", "task_model": "nobody"}, "not_found"),
        ("compress", {"model": "teller:1", "task_model": "told:1", "task_dataset": "none"}, "not_found"),
        ("compress", {"model": "labels:1", "max_kl": 0.1}, "bound_needs_reading"),
        ("compress", {"model": "told:1", "min_greedy_agreement": 0.9}, "bound_needs_reading"),
    ],
)
def test_what_cannot_be_judged_is_refused_at_once(
    decoders: Platform, owner: Principal, kind: str, config: dict[str, Any], code: str
) -> None:
    with pytest.raises(HanlinError) as caught:
        jobs.submit(decoders, owner, kind=kind, config=config)
    assert caught.value.code == code
    assert jobs.list_jobs(decoders, owner) == []


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("compress", {"model": "teller:1", "max_kl": 0.1, "min_greedy_agreement": 0.9}),
        ("compress", {"model": "teller:1", "task_model": "told:1", "task_rows": 8, "task_budget": 2.5}),
        ("compress", {"model": "told:1", "task_dataset": "steps"}),
        ("certify", {"model": "new:1", "task_model": "new:1"}),
        ("compress", {"model": "adapted:1", "task_model": "asks:1"}),
        ("certify", {"model": "teller:1", "task_model": "told:1", "task_dataset": "steps:1"}),
    ],
)
def test_what_can_is_queued_as_it_was_said(decoders: Platform, owner: Principal, kind: str, config: dict[str, Any]) -> None:
    assert config.items() <= jobs.submit(decoders, owner, kind=kind, config=config).config.items()
