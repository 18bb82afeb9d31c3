"""Fine-tunings in OpenAI's words: the job, its events, its checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Literal, cast

from pydantic import Field

from hanlin.control import fine_tuning
from hanlin.gateway.control_api_wire import Answer
from hanlin.jobs import Job, JobEvent
from hanlin.messages.said import Said
from hanlin.types import JsonObject, JsonValue, model_of_endpoint, utc_now

Status = Literal["validating_files", "queued", "running", "succeeded", "failed", "cancelled"]
Hyperparameters = dict[str, float | None]
_Given = Literal["auto"] | int | float
_NAMES = {"loss": "train_loss", "validation_loss": "valid_loss", "validation_accuracy": "valid_mean_token_accuracy"}


class HyperparametersAnswer(Answer):
    """As they were asked for."""

    n_epochs: _Given
    batch_size: _Given
    learning_rate_multiplier: _Given


class TuningErrorAnswer(Answer):
    """What ended it."""

    code: str
    message: str
    param: str | None = None


class SupervisedAnswer(Answer):
    """How examples with answers are learnt."""

    hyperparameters: HyperparametersAnswer


class PreferenceHyperparametersAnswer(HyperparametersAnswer):
    """As they were asked for."""

    beta: _Given


class PreferenceAnswer(Answer):
    """How preference pairs are learnt."""

    hyperparameters: PreferenceHyperparametersAnswer


class MethodAnswer(Answer):
    """How it learns."""

    type: Literal["supervised", "dpo"] = "supervised"
    supervised: SupervisedAnswer | None = None
    dpo: PreferenceAnswer | None = None


class FineTuningAnswer(Answer):
    """A fine-tuning; moments in seconds since 1970."""

    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    finished_at: int | None = None
    estimated_finish: int | None = None
    error: TuningErrorAnswer | None = None
    model: str
    fine_tuned_model: str | None = Field(None, description="under this name it is called")
    organization_id: str
    hyperparameters: HyperparametersAnswer
    method: MethodAnswer
    result_files: list[str] = Field(default_factory=list)
    seed: int
    status: Status
    trained_tokens: int | None = None
    training_file: str
    validation_file: str | None = None
    integrations: list[dict[str, str]] = Field(default_factory=list, max_length=0)
    metadata: dict[str, str] | None = None


class FineTuningsAnswer(Answer):
    """A page of fine-tunings."""

    object: Literal["list"] = "list"
    data: list[FineTuningAnswer]
    has_more: bool


class EventAnswer(Answer):
    """Something that a fine-tuning told."""

    id: str
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: Literal["info", "warn", "error"] = "info"
    message: str
    type: Literal["message", "metrics"] = "message"
    data: dict[str, float] | None = None


class EventsAnswer(Answer):
    """A page of events."""

    object: Literal["list"] = "list"
    data: list[EventAnswer]
    has_more: bool


class CheckpointAnswer(Answer):
    """Weights that were kept."""

    id: str
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    metrics: dict[str, float]
    step_number: int


class CheckpointsAnswer(Answer):
    """A page of checkpoints."""

    object: Literal["list"] = "list"
    data: list[CheckpointAnswer]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


def told(job: Job, language: str) -> FineTuningAnswer:
    """The fine-tuning that a job is."""
    config, status = job.config, status_of(job)
    ids = [str(file) for file in cast("list[JsonValue]", config.get("file_ids") or [])]
    asked = cast("JsonObject", config.get("hyperparameters") or {})
    given = {name: _given(asked.get(name)) for name in ("n_epochs", "batch_size", "learning_rate_multiplier")}
    parameters = HyperparametersAnswer.model_validate(given)
    method = MethodAnswer(supervised=SupervisedAnswer(hyperparameters=parameters))
    if config.get("method") == "dpo":
        preferred = PreferenceHyperparametersAnswer.model_validate({**given, "beta": _given(asked.get("beta"))})
        method = MethodAnswer(type="dpo", dpo=PreferenceAnswer(hyperparameters=preferred))
    error = job.error_in(language) if status == "failed" else None
    return FineTuningAnswer(
        id=fine_tuning.tuning_id(job), created_at=int(job.created_at.timestamp()), finished_at=_seconds(job.ended_at),
        estimated_finish=_seconds(_estimate(job)) if status == "running" else None, model=model_of_endpoint(str(config.get("model"))),
        error=TuningErrorAnswer(code=str(error.get("code")), message=str(error.get("message"))) if error else None,
        fine_tuned_model=model_of_job(job) if status == "succeeded" else None, organization_id=job.team_id, hyperparameters=parameters,
        method=method, seed=int(cast("int", config.get("seed") or 0)),
        status=status, training_file=ids[0] if ids else "", validation_file=ids[1] if len(ids) > 1 else None,
        metadata=cast("dict[str, str]", config.get("metadata") or {}) or None,
    )  # fmt: skip


def status_of(job: Job) -> Status:
    """In OpenAI's words."""
    if job.state == "running":
        return "running" if job.progress.total else "validating_files"
    return job.state


def model_of_job(job: Job) -> str:
    """The id of the model that it makes."""
    return model_of_endpoint(str(job.config.get("name")))


def events_of(job: Job, events: Iterable[JobEvent], language: str, *, after: str | None, limit: int) -> EventsAnswer:
    """A page of what it told, newest first, behind the event called `after`."""
    found = list(_events(job, events, language))[::-1]
    start = next((place + 1 for place, event in enumerate(found) if event.id == after), len(found) if after else 0)
    return EventsAnswer(data=found[start : start + limit], has_more=len(found) > start + limit)


def checkpoints_of(job: Job, *, after: str | None) -> CheckpointsAnswer:
    """The weights of the best evaluation are what is kept: one checkpoint, which is the model."""
    result = job.result or {}
    if job.state != "succeeded" or after is not None:
        return CheckpointsAnswer(data=[])
    step = cast("int", result.get("best_step") or 0)
    points = [point for point in cast("list[JsonObject]", result.get("history") or []) if point.get("step") == step]
    validation = cast("dict[str, float]", points[0].get("validation") or {}) if points else {}
    metrics = {"step": float(step), **{_NAMES.get(f"validation_{name}", f"valid_{name}"): value for name, value in validation.items()}}
    if points:
        metrics["train_loss"] = cast("float", points[0]["loss"])
    identity = f"ftckpt_{job.id.removeprefix('job_')}"
    made = CheckpointAnswer(
        id=identity, created_at=_seconds(job.ended_at) or 0, fine_tuned_model_checkpoint=model_of_job(job),
        fine_tuning_job_id=fine_tuning.tuning_id(job), metrics=metrics, step_number=step,
    )  # fmt: skip
    return CheckpointsAnswer(data=[made], first_id=identity, last_id=identity)


def _events(job: Job, events: Iterable[JobEvent], language: str) -> Iterator[EventAnswer]:
    for event in events:
        identity, moment = f"ftevent-{job.id.removeprefix('job_')}-{event.number}", int(event.created_at.timestamp())
        if event.kind == "message":
            yield EventAnswer(id=identity, created_at=moment, message=str(event.data_in(language).get("message", "")))
        elif event.kind == "end":
            error = job.error_in(language)
            message = str(error.get("message")) if error else Said("fine_tuning_succeeded", {"model": model_of_job(job)}).text(language)
            level: Literal["info", "error"] = "error" if job.state == "failed" else "info"
            yield EventAnswer(id=identity, created_at=moment, level=level, message=message)
        elif (data := _figures(event.data)) is not None:
            said = Said("fine_tuning_step", {"step": int(data["step"]), "total": int(data["total_steps"]), "loss": data["valid_loss"]})
            yield EventAnswer(id=identity, created_at=moment, message=said.text(language), type="metrics", data=data)


def _figures(told_: JsonObject) -> dict[str, float] | None:
    """The figures of an evaluation in OpenAI's names; None between evaluations."""
    metrics, step, total = told_.get("metrics"), told_.get("step"), told_.get("total")
    if not isinstance(metrics, dict) or not isinstance(metrics.get("validation_loss"), float):
        return None
    figures = {_NAMES.get(name, name): round(value, 6) for name, value in metrics.items() if isinstance(value, int | float)}
    return {"step": float(cast("int", step)), "total_steps": float(cast("int", total)), **figures}


def _estimate(job: Job) -> datetime | None:
    """When it may end, as fast as it has been so far."""
    if job.started_at is None or not 0 < job.progress.step <= job.progress.total:
        return None
    spent_s = (utc_now() - job.started_at).total_seconds()
    return utc_now() + timedelta(seconds=spent_s * (job.progress.total / job.progress.step - 1))


def _given(value: JsonValue | None) -> _Given:
    if not isinstance(value, int | float):
        return "auto"
    return int(value) if float(value).is_integer() else value


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
