"""Frozen values that `control/` answers with, where the registry's own values do not say it all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hanlin import messages
from hanlin.messages.said import Said
from hanlin.registry.values import Alias, Certificate, DatasetVersion, ModelVersion, Variant
from hanlin.serving.declared import DeploymentState, Role
from hanlin.types import Isolation, JsonObject, LongText


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
    """One declared deployment and how far it has come. `version` is the number; `model` the bare name.

    Args:
        replicas, max_replicas: as many replicas as load asks for, between these.
        weight: percent of the calls that a canary answers, or a shadow gets copies of.
        stats: of a trial: what it and the version that serves did meanwhile.
        isolation: whether a replica has a worker process of its own.
        idle_s: with 0 replicas: it sleeps after so long without a call; 0: when others need the room.
        draft: the version that guesses what it writes next; empty: none.
        warnings: what whoever declared it should know; only where it is answered to them.
    """

    id: str
    endpoint: str
    model: str
    version: int
    task: str
    variant: str
    replicas: int
    state: DeploymentState
    reason: Said | None
    created_at: datetime
    max_replicas: int = 1
    role: Role = "live"
    weight: int = 0
    stats: JsonObject | None = None
    isolation: Isolation = "own"
    idle_s: float = 0.0
    draft: str = ""
    warnings: tuple[Said, ...] = ()

    def reason_in(self, language: str) -> str:
        """Why it does not serve, or not with all its replicas, and what to do, in `language` (`en` or `zh`); empty when all is well."""
        if self.reason is None:
            return ""
        advice = messages.render(self.reason.code, "next", language, self.reason.params)
        return self.reason.text(language) + (("。" if language.startswith("zh") else ". ") + advice if advice else "")

    @property
    def url(self) -> str:
        """Where its endpoint answers, below the server's address."""
        return f"/models/{self.endpoint}"


@dataclass(frozen=True, slots=True)
class MovedAlias:
    """The version that an alias means from now on, and what its users should know."""

    version: ModelVersion
    warnings: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class EndpointView:
    """A public name: what it shall serve, what answers right now (None before anything is ready), and how.

    Args:
        long_text: what becomes of texts that are too long.
        cache_ttl_s: seconds for which answers are kept; 0 keeps none.
        trial: what is tried beside it, or was last and was taken back.
    """

    name: str
    wanted: DeploymentView
    serving: DeploymentView | None
    labels: tuple[str, ...]
    created_at: datetime
    long_text: LongText = "refuse"
    cache_ttl_s: int = 0
    trial: DeploymentView | None = None


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What an endpoint shall serve after a rollback, and whether this call changed it or found it done."""

    view: DeploymentView
    is_changed: bool


@dataclass(frozen=True, slots=True)
class Undeployed:
    """An endpoint as it was before it was taken away, and the deployments that routes to it may still name."""

    view: EndpointView
    deployment_ids: tuple[str, ...]
