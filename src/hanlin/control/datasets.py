"""Datasets as a team sees them."""

from __future__ import annotations

from collections.abc import Iterable

from hanlin.control.platform import Platform
from hanlin.control.values import DatasetView
from hanlin.errors import NotFound
from hanlin.registry.values import DatasetVersion, ModelVersion
from hanlin.types import JsonObject, Principal


def list_datasets(platform: Platform, principal: Principal) -> list[DatasetView]:
    """The team's datasets by name."""
    principal.require("read")
    return [DatasetView(item.name, item.task, item.versions) for item in platform.registry.list_datasets(principal.team_id)]


def get_dataset(platform: Platform, principal: Principal, name: str) -> DatasetView:
    """One dataset with its versions, newest first. Raises NotFound."""
    principal.require("read")
    item = platform.registry.get_dataset(principal.team_id, name)
    return DatasetView(item.name, item.task, item.versions)


def get_check(platform: Platform, principal: Principal, name: str, number: int) -> JsonObject:
    """What the newest check of a version found. Raises NotFound (also `dataset_not_checked`)."""
    principal.require("read")
    version = platform.registry.resolve_dataset(principal.team_id, f"{name}:{number}")
    if version.check is None:
        raise NotFound("dataset_not_checked", dataset=str(version))
    return version.check


def delete_dataset(platform: Platform, principal: Principal, name: str, number: int | None = None, *, is_forced: bool = False) -> None:
    """Deletes one version, or (None) the dataset with all of them.

    Raises:
        NotFound: no such dataset or version.
        Conflict: `in_use` while a job needs it; `dataset_in_lineage` unless `is_forced`.
    """
    principal.require("write")
    platform.registry.delete_dataset(principal.team_id, name, number, is_forced=is_forced, actor=principal.key_id)


def made_of(platform: Platform, principal: Principal, datasets: Iterable[DatasetVersion]) -> dict[str, tuple[ModelVersion, ...]]:
    """See `Registry.made_of`."""
    principal.require("read")
    return platform.registry.made_of(principal.team_id, datasets)
