"""Who still needs a version of a model or of a dataset, inside a caller's transaction. Internal to the registry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from hanlin.errors import Conflict
from hanlin.registry import rows
from hanlin.registry.values import ModelVersion
from hanlin.storage.tables import AliasRow, DeploymentRow, EndpointRow, JobRow, ModelRow, ModelVersionRow
from hanlin.types import JsonObject

_FORGOTTEN = {"stopped", "failed"}  # a deployment in one of these states, and no longer wanted, holds no version
_DATASETS = ("dataset", "rows", "task_dataset")  # the fields of jobs that name a dataset
_MODELS = ("model", "name", "base", "task_model")  # those that name a model
_READERS = (("dataset", "model"), ("task_dataset", "task_model"))  # where the first names none, the dataset of the second is read
_MAX_USERS = 8  # in a refusal


@dataclass(frozen=True, slots=True)
class User:
    """What needs a version, in words (`alias production`), and the commands of which one ends that."""

    words: str
    commands: tuple[str, ...]


def in_use(subject: str, users: Iterable[User]) -> Conflict:
    """The refusal that names all users and what to do about each."""
    distinct = list(dict.fromkeys(users))
    first, more = distinct[:_MAX_USERS], ", …" if len(distinct) > _MAX_USERS else ""
    commands = "; ".join(" / ".join(f"`{command}`" for command in user.commands) for user in first)
    return Conflict("in_use", subject=subject, user=", ".join(user.words for user in first) + more, commands=commands + more)


def users_of_version(session: Session, version: ModelVersion) -> list[User]:
    """Who still needs the version: aliases, endpoints, jobs."""
    aliases = session.scalars(select(AliasRow.name).where(AliasRow.version_id == version.id).order_by(AliasRow.name))
    found = [User(f"alias {alias}", (f"hanlin model demote {version.model} {alias}",)) for alias in aliases]
    deployed = select(EndpointRow.name).join(DeploymentRow, DeploymentRow.endpoint_id == EndpointRow.id)
    is_held = DeploymentRow.is_wanted.is_(True) | DeploymentRow.state.not_in(_FORGOTTEN)
    is_of_it = (DeploymentRow.version_id == version.id) | (
        (DeploymentRow.draft == str(version)) & (DeploymentRow.team_id == version.team_id)
    )  # fmt: skip
    endpoints = session.scalars(deployed.where(is_of_it, is_held).distinct().order_by(EndpointRow.name))
    found += [User(f"endpoint {endpoint}", (f"hanlin undeploy {endpoint}",)) for endpoint in endpoints]
    return found + _jobs_where(session, version.team_id, lambda config: _is_named(config, _MODELS, version.model, {version.number}))


def users_of_dataset(session: Session, team_id: str, name: str, numbers: Iterable[int], named: Iterable[ModelVersion]) -> list[User]:
    """The jobs that still need one of these versions.

    Args:
        named: the model versions whose lineage names them. A job about one of these that names no dataset reads theirs.
    """
    wanted = set(numbers)
    models = [(version.model, {version.number}) for version in named]

    def needs(config: JsonObject) -> bool:
        if _is_named(config, _DATASETS, name, wanted):
            return True
        readers = [model for dataset, model in _READERS if config.get(dataset, "") is None]
        return any(_is_named(config, readers, *model) for model in models)

    return _jobs_where(session, team_id, needs)


def named_by(session: Session, team_id: str, digests: Mapping[str, str]) -> list[ModelVersion]:
    """The model versions whose lineage names one of these dataset versions (digests by `name:number`) and no other rows, by name."""
    query = select(ModelRow, ModelVersionRow).join(ModelVersionRow, ModelVersionRow.model_id == ModelRow.id)
    sought = query.where(ModelVersionRow.team_id == team_id, ModelVersionRow.lineage["dataset"].as_string().in_(digests))
    found = session.execute(sought.order_by(ModelRow.name, ModelVersionRow.number))
    versions = (rows.model_version(model, row) for model, row in found)
    return [version for version in versions if version.is_of_rows(digests[str(version.lineage["dataset"])])]


def _jobs_where(session: Session, team_id: str, needs: Callable[[JsonObject], bool]) -> list[User]:
    """The jobs that have not ended and need the thing by their config, the running ones first."""
    jobs = select(JobRow.id, JobRow.config).where(JobRow.team_id == team_id, JobRow.state.in_(["queued", "running"]))
    found = session.execute(jobs.order_by(JobRow.state.desc(), JobRow.created_at))
    return [
        User(f"job {job_id}", (f"hanlin job wait {job_id}", f"hanlin job cancel {job_id}")) for job_id, config in found if needs(config)
    ]


def _is_named(config: JsonObject, fields: Iterable[str], name: str, numbers: Collection[int]) -> bool:
    """Whether one of the fields names `name`: one of the versions, or any that may be meant (none, or an alias)."""
    for value in (config.get(field) for field in fields):
        if isinstance(value, str):
            named, _, number = value.replace("@", ":@").partition(":")
            if named == name and (not number.isdecimal() or int(number) in numbers):
                return True
    return False
