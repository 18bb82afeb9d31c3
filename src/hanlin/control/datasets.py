"""Datasets as a team sees them."""

from __future__ import annotations

from hanlin.control.platform import Platform
from hanlin.control.values import DatasetView
from hanlin.types import Principal


def list_datasets(platform: Platform, principal: Principal) -> list[DatasetView]:
    """The team's datasets by name."""
    principal.require("read")
    return [DatasetView(item.name, item.task, item.versions) for item in platform.registry.list_datasets(principal.team_id)]


def get_dataset(platform: Platform, principal: Principal, name: str) -> DatasetView:
    """One dataset with its versions, newest first. Raises NotFound."""
    principal.require("read")
    item = platform.registry.get_dataset(principal.team_id, name)
    return DatasetView(item.name, item.task, item.versions)
