"""OpenAI's fine-tuning: `/v1/fine_tuning/jobs`, and the end of what they made. Source: its reference.

A fine-tuning is a job of kind `fine-tune`; all that is told of it here is read from the job and its events.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from hanlin.control import fine_tuning
from hanlin.control.platform import Platform
from hanlin.errors import Conflict, InvalidInput
from hanlin.gateway.control_api_routing import Caller, Language, Routes, refused
from hanlin.gateway.control_api_wire import Answer, Sent
from hanlin.gateway.dataplane import Dataplane
from hanlin.gateway.openai_fine_tuning_wire import (
    CheckpointsAnswer,
    EventsAnswer,
    FineTuningAnswer,
    FineTuningsAnswer,
    Hyperparameters,
    checkpoints_of,
    events_of,
    told,
)
from hanlin.types import JsonObject, endpoint_of_model

_Auto = Literal["auto"]
Count = Annotated[int, Field(ge=1, le=1000)]
_EXAMPLES: dict[str, JsonObject] = {
    "from nothing": {"model": "lstm", "training_file": "file-9d2c41f0", "suffix": "reviews"},
    "from a model, three times over the rows": {
        "model": "sentiment:1", "training_file": "file-9d2c41f0", "seed": 7,
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
    },
    "from preference pairs": {
        "model": "writer:1", "training_file": "file-9d2c41f0",
        "method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1, "n_epochs": 2}}}, "metadata": {"adapter": "lora"},
    },
}  # fmt: skip


class HyperparametersRequest(Sent):
    """Of a training; `auto`: what usually works for the model."""

    n_epochs: _Auto | Count = Field("auto", description="times that every row is seen")
    batch_size: _Auto | Count = Field("auto", description="rows of a batch at most")
    learning_rate_multiplier: _Auto | Annotated[float, Field(gt=0, le=1000)] = Field("auto", description="factor on the usual rate")


class SupervisedRequest(Sent):
    """How examples with answers are learnt."""

    hyperparameters: HyperparametersRequest | None = None


class PreferenceHyperparametersRequest(HyperparametersRequest):
    """Of a training on preference pairs."""

    beta: _Auto | Annotated[float, Field(ge=0.001, le=2)] = Field("auto", description="how dearly leaving the base is paid for")


class PreferenceRequest(Sent):
    """How preference pairs are learnt: direct preference optimization."""

    hyperparameters: PreferenceHyperparametersRequest | None = None


class MethodRequest(Sent):
    """How it learns: from examples with answers, or from preference pairs."""

    type: Literal["supervised", "dpo"]
    supervised: SupervisedRequest | None = None
    dpo: PreferenceRequest | None = None

    def hyperparameters(self) -> HyperparametersRequest | None:
        """Those of its own kind. Raises InvalidInput (`method_of_another_type`) where the other kind's are given."""
        own, other = (self.supervised, self.dpo) if self.type == "supervised" else (self.dpo, self.supervised)
        if other is not None:
            raise InvalidInput("method_of_another_type", type=self.type)
        return own.hyperparameters if own else None


class FineTuningRequest(Sent):
    """A fine-tuning to queue."""

    model: str = Field(min_length=1, max_length=140, description="lstm, gru, rnn, transformer, or a model of the team to begin from")
    training_file: str = Field(max_length=100, description="a file of purpose `fine-tune`: rows of the task, chats, or preference pairs")
    validation_file: str | None = Field(None, max_length=100, description="rows to validate on; left out, a tenth of the training file")
    suffix: str | None = Field(None, max_length=64, description="a part of the model's name; its first 18 letters and digits stand there")
    seed: int | None = Field(None, ge=0, lt=2**31)
    hyperparameters: HyperparametersRequest | None = Field(None, description="as below `method`, which goes before it")
    method: MethodRequest | None = None
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None = Field(
        None,
        max_length=16,
        description="`task` names what is learnt; left out, text-generation for a model that does it and for `dpo`, text-classification"
        " else; `adapter` (lora, head): not all weights",
    )
    integrations: None = Field(None, description="there are none")

    def asked(self) -> Hyperparameters:
        """The hyperparameters; those that are `auto` are None."""
        given = (self.method.hyperparameters() if self.method else None) or self.hyperparameters
        found = (given or HyperparametersRequest.model_validate({})).model_dump()
        return {name: None if value == "auto" else value for name, value in found.items()}


class ModelDeletedAnswer(Answer):
    """A model that is gone."""

    id: str
    object: Literal["model"] = "model"
    deleted: Literal[True] = True


Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str | None, Query(max_length=100)]


def routes(platform: Platform, dataplane: Dataplane | None = None) -> APIRouter:
    """The routes over `platform`; `dataplane` is told of endpoints taken away."""
    data = Routes(platform, tags=["openai"], prefix="/v1")

    @data.add("POST", "/fine_tuning/jobs", "write", examples=_EXAMPLES)
    def create_fine_tuning(caller: Caller, language: Language, body: FineTuningRequest) -> FineTuningAnswer:
        """Queues a fine-tuning over an uploaded file; its model answers as soon as it has succeeded."""
        job = fine_tuning.create(
            platform, caller, model=body.model, training_file=body.training_file, validation_file=body.validation_file,
            suffix=body.suffix or "", seed=body.seed, hyperparameters=body.asked(), metadata=body.metadata or {},
            method=body.method.type if body.method else "supervised",
        )  # fmt: skip
        return told(job, language)

    @data.add("GET", "/fine_tuning/jobs", "read", responses=refused(404))
    def list_fine_tunings(caller: Caller, language: Language, after: After = None, limit: Limit = 20) -> FineTuningsAnswer:
        """The team's fine-tunings, newest first."""
        found = fine_tuning.list_jobs(platform, caller, after=after, limit=limit + 1)
        return FineTuningsAnswer(data=[told(job, language) for job in found[:limit]], has_more=len(found) > limit)

    @data.add("GET", "/fine_tuning/jobs/{fine_tuning_job_id}", "read")
    def get_fine_tuning(caller: Caller, language: Language, fine_tuning_job_id: str) -> FineTuningAnswer:
        """One fine-tuning."""
        return told(fine_tuning.get(platform, caller, fine_tuning_job_id), language)

    @data.add("POST", "/fine_tuning/jobs/{fine_tuning_job_id}/cancel", "write")
    def cancel_fine_tuning(caller: Caller, language: Language, fine_tuning_job_id: str) -> FineTuningAnswer:
        """Ends a fine-tuning within seconds."""
        return told(fine_tuning.cancel(platform, caller, fine_tuning_job_id), language)

    @data.add("POST", "/fine_tuning/jobs/{fine_tuning_job_id}/pause", "write", responses=refused(409))
    def pause_fine_tuning(caller: Caller, fine_tuning_job_id: str) -> FineTuningAnswer:
        """Refused: a job is not paused."""
        fine_tuning.get(platform, caller, fine_tuning_job_id)
        raise Conflict("fine_tuning_not_paused")

    @data.add("POST", "/fine_tuning/jobs/{fine_tuning_job_id}/resume", "write", responses=refused(409))
    def resume_fine_tuning(caller: Caller, fine_tuning_job_id: str) -> FineTuningAnswer:
        """Refused: a job is not paused, so none is resumed."""
        fine_tuning.get(platform, caller, fine_tuning_job_id)
        raise Conflict("fine_tuning_not_paused")

    @data.add("GET", "/fine_tuning/jobs/{fine_tuning_job_id}/events", "read")
    def list_fine_tuning_events(
        caller: Caller, language: Language, fine_tuning_job_id: str, after: After = None, limit: Limit = 20
    ) -> EventsAnswer:  # fmt: skip
        """What a fine-tuning told, newest first: its messages, its evaluations, its end."""
        job = fine_tuning.get(platform, caller, fine_tuning_job_id)
        return events_of(job, fine_tuning.events(platform, job), language, after=after, limit=limit)

    @data.add("GET", "/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints", "read")
    def list_fine_tuning_checkpoints(
        caller: Caller, fine_tuning_job_id: str, after: After = None, limit: Limit = 10
    ) -> CheckpointsAnswer:  # fmt: skip
        """The weights that were kept: those of the best evaluation, once it has succeeded."""
        return checkpoints_of(fine_tuning.get(platform, caller, fine_tuning_job_id), after=after)

    @data.add("DELETE", "/models/{endpoint}", "write")
    async def delete_fine_tuned_model(caller: Caller, endpoint: str) -> ModelDeletedAnswer:
        """Takes away a model that a fine-tuning made, with its endpoint; nothing else is deleted here."""
        done = await run_in_threadpool(fine_tuning.delete_model, platform, caller, endpoint)
        if dataplane is not None:  # here, because it belongs to this event loop
            await dataplane.withdraw(caller, endpoint_of_model(endpoint), done.deployment_ids)
        return ModelDeletedAnswer(id=endpoint)

    return data.router
