"""Who still needs a version of a model or of a dataset, inside a caller's transaction. Internal to the registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from hanlin.registry import rows
from hanlin.registry.values import ModelVersion
from hanlin.storage.tables import AliasRow, DeploymentRow, EndpointRow, JobRow, ModelRow, ModelVersionRow
from hanlin.types import JsonObject

_FORGOTTEN = {"stopped", "failed"}  # a deployment in one of these states, and no longer wanted, holds no version
_DATASETS = ("dataset", "rows")  # the fields of jobs that name a dataset


def user_of_version(session: Session, version: ModelVersion) -> str:
    """Who still needs the version: an alias, an endpoint or a job; empty when nobody does."""
    if alias := session.scalar(select(AliasRow.name).where(AliasRow.version_id == version.id)):
        return f"alias {alias}"
    deployed = select(EndpointRow.name).join(DeploymentRow, DeploymentRow.endpoint_id == EndpointRow.id)
    is_held = DeploymentRow.is_wanted.is_(True) | DeploymentRow.state.not_in(_FORGOTTEN)
    if endpoint := session.scalar(deployed.where(DeploymentRow.version_id == version.id, is_held)):
        return f"endpoint {endpoint}"
    return _job_that_names(session, version.team_id, version.model, {version.number}, lambda config: config.values())


def user_of_dataset(session: Session, team_id: str, name: str, numbers: Iterable[int]) -> str:
    """The job that still needs one of these versions; empty when none does."""
    return _job_that_names(session, team_id, name, set(numbers), lambda config: [config.get(field) for field in _DATASETS])


def made_of(session: Session, team_id: str, digests: Mapping[str, str]) -> list[ModelVersion]:
    """The model versions whose lineage names one of these dataset versions (digests by `name:number`) and no other rows, by name."""
    query = select(ModelRow, ModelVersionRow).join(ModelVersionRow, ModelVersionRow.model_id == ModelRow.id)
    named = query.where(ModelVersionRow.team_id == team_id, ModelVersionRow.lineage["dataset"].as_string().in_(digests))
    found = session.execute(named.order_by(ModelRow.name, ModelVersionRow.number))
    made = (rows.model_version(model, row) for model, row in found)
    return [version for version in made if version.is_of_rows(digests[str(version.lineage["dataset"])])]


def _job_that_names(session: Session, team_id: str, name: str, numbers: set[int], fields: Callable[[JsonObject], Iterable[object]]) -> str:
    """The first job that has not ended and names `name`, without a version or with one of `numbers`; empty when there is none."""
    jobs = select(JobRow.id, JobRow.config).where(JobRow.team_id == team_id, JobRow.state.in_(["queued", "running"]))
    for job_id, config in session.execute(jobs):
        values = [value for value in fields(config) if isinstance(value, str)]
        names = {value.replace("@", ":").partition(":")[0] for value in values}
        exact = {value.partition(":")[2] for value in values if value.startswith(f"{name}:")}
        if name in names and (not exact or exact & ({str(number) for number in numbers} | {""})):
            return f"job {job_id}"
    return ""
