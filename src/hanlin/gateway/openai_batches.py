"""OpenAI's batches: a file of requests, answered in the gaps of other calls. Source: its reference of `/v1/batches`.

A batch is a job of kind `batch`; all that is told of it here is read from the job.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Query
from pydantic import Field, JsonValue

from hanlin.control import batches
from hanlin.control.job_kinds import BatchUrl
from hanlin.control.platform import Platform
from hanlin.gateway.control_api_routing import Caller, Language, Routes, refused
from hanlin.gateway.control_api_wire import Answer, Sent
from hanlin.jobs import Job
from hanlin.types import JsonObject

Status = Literal["validating", "in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled"]
_ENDED: dict[str, Status] = {"succeeded": "completed", "cancelled": "cancelled"}
_EXAMPLES: dict[str, JsonObject] = {
    "vectors": {"input_file_id": "file-9d2c41f0", "endpoint": "/v1/embeddings", "completion_window": "24h"},
    "texts": {"input_file_id": "file-9d2c41f0", "endpoint": "/v1/completions", "completion_window": "24h", "metadata": {"for": "a book"}},
}


class BatchRequest(Sent):
    """A batch to queue."""

    input_file_id: str = Field(max_length=100, description="a file of purpose `batch`: lines of custom_id, method, url and body")
    endpoint: BatchUrl = Field(description="the url of every line")
    completion_window: Literal["24h"] = Field(description="rows that are not done by then are given up")
    metadata: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]] | None = Field(None, max_length=16)


class CountsAnswer(Answer):
    """How many requests a batch has, and what became of them."""

    total: int
    completed: int
    failed: int


class ErrorAnswer(Answer):
    """Why a batch failed; `line` of the file."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class ErrorsAnswer(Answer):
    """Why a batch failed."""

    object: Literal["list"] = "list"
    data: list[ErrorAnswer]


class BatchAnswer(Answer):
    """A batch; moments in seconds since 1970."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    input_file_id: str
    completion_window: Literal["24h"] = "24h"
    status: Status
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: ErrorsAnswer | None = None
    request_counts: CountsAnswer
    metadata: dict[str, str] | None = None
    created_at: int
    expires_at: int
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None


class BatchesAnswer(Answer):
    """A page of batches."""

    object: Literal["list"] = "list"
    data: list[BatchAnswer]
    first_id: str | None
    last_id: str | None
    has_more: bool


def routes(platform: Platform) -> APIRouter:
    """The routes over `platform`."""
    data = Routes(platform, tags=["openai"], prefix="/v1")

    @data.add("POST", "/batches", "write", examples=_EXAMPLES)
    def create_batch(caller: Caller, language: Language, body: BatchRequest) -> BatchAnswer:
        """Queues a batch over an uploaded file."""
        job = batches.create(platform, caller, file_id=body.input_file_id, url=body.endpoint, metadata=body.metadata or {})
        return told(job, language)

    @data.add("GET", "/batches", "read", responses=refused(404))
    def list_batches(
        caller: Caller, language: Language, after: Annotated[str | None, Query(max_length=100)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> BatchesAnswer:  # fmt: skip
        """The team's batches, newest first."""
        found = batches.list_batches(platform, caller, after=after, limit=limit + 1)
        page = [told(job, language) for job in found[:limit]]
        first, last = (page[0].id, page[-1].id) if page else (None, None)
        return BatchesAnswer(data=page, first_id=first, last_id=last, has_more=len(found) > limit)

    @data.add("GET", "/batches/{batch_id}", "read")
    def get_batch(caller: Caller, language: Language, batch_id: str) -> BatchAnswer:
        """One batch."""
        return told(batches.get(platform, caller, batch_id), language)

    @data.add("POST", "/batches/{batch_id}/cancel", "write")
    def cancel_batch(caller: Caller, language: Language, batch_id: str) -> BatchAnswer:
        """Ends a batch within seconds; what was done until then is kept."""
        return told(batches.cancel(platform, caller, batch_id), language)

    return data.router


def told(job: Job, language: str) -> BatchAnswer:
    """The batch that a job is."""
    status, result, config = status_of(job), job.result or {}, job.config
    ended = _seconds(job.ended_at)
    return BatchAnswer(
        id=batches.batch_id(job), endpoint=str(config.get("url")), input_file_id=batches.file_id(job), status=status,
        output_file_id=_file(result, "output"), error_file_id=_file(result, "errors"), errors=_errors(job, status, language),
        request_counts=_counts(job), metadata=cast("dict[str, str]", config.get("metadata") or {}) or None,
        created_at=int(job.created_at.timestamp()), expires_at=int(batches.ends_at(job).timestamp()),
        in_progress_at=_seconds(job.started_at) if job.progress.total else None,
        finalizing_at=ended if status == "completed" else None, completed_at=ended if status == "completed" else None,
        failed_at=ended if status == "failed" else None, expired_at=ended if status == "expired" else None,
        cancelling_at=ended if status == "cancelled" else None, cancelled_at=ended if status == "cancelled" else None,
    )  # fmt: skip


def status_of(job: Job) -> Status:
    """In OpenAI's words."""
    if job.state in _ENDED:
        return _ENDED[job.state]
    if job.state == "failed":
        return "expired" if (job.error or {}).get("code") == "batch_expired" else "failed"
    if job.is_cancel_requested:
        return "cancelling"
    if not job.progress.total:  # the rows are not counted yet
        return "validating"
    return "in_progress" if job.progress.step < job.progress.total else "finalizing"


def _counts(job: Job) -> CountsAnswer:
    """Exact once it has ended; before, as it told last."""
    source: JsonObject = job.result if job.result and "total" in job.result else {**job.progress.metrics, "total": job.progress.total}
    total, completed, failed = (_whole(source.get(name)) for name in ("total", "completed", "failed"))
    return CountsAnswer(total=total, completed=completed, failed=failed)


def _errors(job: Job, status: Status, language: str) -> ErrorsAnswer | None:
    """The lines that are wrong where the file was refused, else what ended the batch."""
    if status != "failed":
        return None
    problems = (job.result or {}).get("problems")
    if isinstance(problems, list):
        return ErrorsAnswer(data=[ErrorAnswer.model_validate(problem) for problem in problems])
    error = job.error_in(language) or {}
    return ErrorsAnswer(data=[ErrorAnswer(code=str(error.get("code")), message=str(error.get("message")))])


def _file(result: JsonObject, name: str) -> str | None:
    found = result.get(name)
    return str(found["id"]) if isinstance(found, dict) else None


def _whole(value: JsonValue) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
