"""Fine-tunings as OpenAI's clients know them: jobs of kind `fine-tune`, and the models that they made.

A model has one name for all: `ft:base:team:suffix:id` at OpenAI's doors; with `--` for each colon it names the model, its dataset and
its endpoint.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hanlin.control import datasets, deployments, files, jobs, models
from hanlin.control.platform import Platform
from hanlin.control.values import Undeployed
from hanlin.errors import Conflict, InvalidInput, NotFound
from hanlin.jobs import Job, JobEvent
from hanlin.storage.tables import EndpointRow, JobRow, TeamRow
from hanlin.tasks.names import canonical
from hanlin.types import JsonObject, ModelRef, Principal, TeamId, endpoint_of_model, shorten

KIND = "fine-tune"
Method = Literal["supervised", "dpo"]
_GENERATION, _USUAL = "text-generation", "text-classification"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_STARTS = "ft--"
_SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
_MAX_PAGES = 100  # of a thousand events
_MAX_RATE = 10.0


def create(
    platform: Platform, principal: Principal, *, model: str, training_file: str, validation_file: str | None, suffix: str,
    seed: int | None, hyperparameters: Mapping[str, float | None], metadata: Mapping[str, str], method: Method = "supervised",
) -> Job:  # fmt: skip
    """Queues a fine-tuning.

    Args:
        model: a network of our own, a model of the team (`name`, `name@alias`, `name:version`), or what another fine-tuning made.
        hyperparameters: `n_epochs`, `batch_size`, `learning_rate_multiplier`, and `beta` of preferences; None: as a training has it.
        metadata: of the caller; `task` names what is learnt; left out, `text-generation` for a model that does it and for preferences,
            `text-classification` else. `adapter`: whether all weights learn.
        method: from examples with answers, or from preference pairs (`dpo`).

    Raises:
        NotFound: the model, or a file.
        InvalidInput: `wrong_purpose`; options that a training does not take.
        Conflict: `too_many_fine_tuned`.
    """
    principal.require("write")
    check_room = partial(_check_room, team=principal.team_id, limit=platform.settings.max_fine_tuned)
    with platform.database.read() as session:
        check_room(session, more=1)
    base = endpoint_of_model(model)
    task = canonical(metadata["task"]) if "task" in metadata else _task_of(platform, principal, base, method)
    config: JsonObject = {
        "task": task, "model": base, "name": _new_name(base, principal, suffix), "training_file": _file(platform, principal, training_file),
        "validation_file": None if validation_file is None else _file(platform, principal, validation_file),
        "file_ids": [training_file, *([] if validation_file is None else [validation_file])],
        "seed": secrets.randbelow(2**31) if seed is None else seed, "options": _options(base, task, hyperparameters, metadata, method),
        "hyperparameters": dict(hyperparameters), "suffix": suffix, "metadata": dict(metadata), "method": method,
    }  # fmt: skip
    return jobs.submit(platform, principal, kind=KIND, config=config, check=partial(check_room, more=0))


def _check_room(session: Session, team: TeamId, limit: int, *, more: int) -> None:
    """Raises Conflict (`too_many_fine_tuned`) when the team would have too many such endpoints with `more`, those to come included."""
    if not more:  # it stands already: others of the team wait
        session.execute(select(TeamRow.team_id).where(TeamRow.team_id == team).with_for_update(key_share=True))
    mine = select(func.count()).select_from(EndpointRow).where(EndpointRow.team_id == team)
    count = session.scalar(mine.where(EndpointRow.name.startswith(_STARTS), EndpointRow.deployment_id.is_not(None))) or 0
    coming = select(func.count()).select_from(JobRow).where(JobRow.team_id == team, JobRow.kind == KIND)
    count += session.scalar(coming.where(JobRow.state.in_(("queued", "running")))) or 0
    if count + more > limit:
        raise Conflict("too_many_fine_tuned", limit=limit)


def get(platform: Platform, principal: Principal, tuning: str) -> Job:
    """One fine-tuning. Raises NotFound."""
    try:
        job = jobs.get_job(platform, principal, f"job_{tuning.removeprefix('ftjob-')}" if tuning.startswith("ftjob-") else "")
    except NotFound:
        raise _missing(tuning) from None
    if job.kind != KIND:
        raise _missing(tuning)
    return job


def cancel(platform: Platform, principal: Principal, tuning: str) -> Job:
    """Asks it to end; an ended one stays as it is. Raises NotFound."""
    principal.require("write")
    return jobs.cancel(platform, principal, get(platform, principal, tuning).id)


def list_jobs(platform: Platform, principal: Principal, *, after: str | None, limit: int) -> list[Job]:
    """The team's fine-tunings, newest first, behind `after`. Raises NotFound when there is no such one."""
    principal.require("read")
    last = None if after is None else get(platform, principal, after)
    return platform.jobs.page(principal.team_id, KIND, after=last, limit=limit)


def delete_model(platform: Platform, principal: Principal, model: str) -> Undeployed:
    """Takes away what a fine-tuning made: endpoint, model and rows. Its job stays.

    Raises:
        InvalidInput: `model_not_fine_tuned`.
        NotFound: there is none.
        Conflict: `in_use` while an alias, a job or another endpoint needs the model; then nothing but its endpoint is gone.
    """
    name = endpoint_of_model(model)
    if not name.startswith(_STARTS):
        raise InvalidInput("model_not_fine_tuned", name=shorten(model))
    done = deployments.undeploy(platform, principal, name)
    models.delete_model(platform, principal, name)
    with contextlib.suppress(NotFound, Conflict):  # gone before, or another model was trained on it
        datasets.delete_dataset(platform, principal, name, is_forced=True)
    return done


def events(platform: Platform, job: Job) -> Iterator[JobEvent]:
    """All that it told, in order."""
    after = 0
    for _ in range(_MAX_PAGES):
        found = platform.jobs.events(job.team_id, job.id, after=after)
        yield from found
        if not found:
            return
        after = found[-1].number


def tuning_id(job: Job) -> str:
    """The fine-tuning's name for its clients."""
    return "ftjob-" + job.id.removeprefix("job_")


def _file(platform: Platform, principal: Principal, file_id: str) -> JsonObject:
    file = files.get_file(platform, principal, file_id)
    if file.purpose != KIND:
        raise InvalidInput("wrong_purpose_of_tuning", name=shorten(file_id))
    ending = next((suffix for suffix in _SUFFIXES if file.name.lower().endswith(suffix)), ".jsonl")
    return {"path": f"{file.id}{ending}", "sha256": file.digest, "size_bytes": file.size_bytes}


def _new_name(base: str, principal: Principal, suffix: str) -> str:
    """At most 63 characters; a part holds no `--`, so that the name can be read back."""
    base = ModelRef.parse(base).name.removeprefix(_STARTS).partition("--")[0]
    made = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    return f"{_STARTS}{_part(base, 18)}--{_part(principal.team_id, 9)}--{_part(suffix, 18)}--{made}"


def _part(text: str, limit: int) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:limit].strip("-")


def _task_of(platform: Platform, principal: Principal, base: str, method: Method) -> str:
    """What is learnt where nobody says so. Raises NotFound for a model that is none."""
    from hanlin.training.option_rules import SCRATCH_MODELS

    if method == "dpo":
        return _GENERATION
    if base in SCRATCH_MODELS:
        return _USUAL
    found = platform.registry.resolve(principal.team_id, ModelRef.parse(base)).task
    return found if found == _GENERATION else _USUAL


def _options(base: str, task: str, asked: Mapping[str, float | None], metadata: Mapping[str, str], method: Method) -> JsonObject:
    """In a training's words. Raises InvalidInput."""
    from hanlin.training.config import TrainConfig
    from hanlin.training.option_rules import PREFERENCE, SCRATCH_MODELS

    epochs, rows, factor, beta = (asked.get(name) for name in ("n_epochs", "batch_size", "learning_rate_multiplier", "beta"))
    found: JsonObject = {"adapter": metadata["adapter"]} if "adapter" in metadata else {}
    if method == "dpo":
        found["objective"] = PREFERENCE
    if beta is not None:
        found["beta"] = beta
    if epochs is not None:
        found["epochs"] = int(epochs)
    if rows is not None:
        found["batch_size"] = int(rows)
    if factor is not None:
        usual = TrainConfig.from_json(found, model=base if base in SCRATCH_MODELS else "base", task=task)
        found["rate"] = min(usual.rate * factor, _MAX_RATE)
    return found


def _missing(tuning: str) -> NotFound:
    return NotFound("not_found", kind="fine-tuning", name=shorten(tuning))
