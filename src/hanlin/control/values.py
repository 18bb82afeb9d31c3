"""Frozen values that `control/` answers with, where the registry's own values do not say it all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hanlin.registry.values import Alias, Certificate, DatasetVersion, ModelVersion, Variant
from hanlin.serving.replicas import DeploymentState


@dataclass(frozen=True, slots=True)
class DatasetView:
    """A dataset with its versions, newest first."""

    name: str
    task: str
    versions: tuple[DatasetVersion, ...]


@dataclass(frozen=True, slots=True)
class VersionView:
    """A model version with everything that hangs on it."""

    version: ModelVersion
    variants: tuple[Variant, ...]
    certificates: tuple[Certificate, ...]
    pictures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model with its aliases and its versions, newest first."""

    name: str
    task: str
    notes: str
    aliases: tuple[Alias, ...]
    versions: tuple[VersionView, ...]


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """One declared deployment and how far it has come. `version` is the number; `model` the bare name."""

    id: str
    endpoint: str
    model: str
    version: int
    task: str
    variant: str
    replicas: int
    state: DeploymentState
    reason: str
    created_at: datetime

    @property
    def url(self) -> str:
        """Where its endpoint answers, below the server's address."""
        return f"/models/{self.endpoint}"


@dataclass(frozen=True, slots=True)
class EndpointView:
    """A public name: what it shall serve, and what answers right now (None before anything is ready)."""

    name: str
    wanted: DeploymentView
    serving: DeploymentView | None
    labels: tuple[str, ...]
    created_at: datetime
