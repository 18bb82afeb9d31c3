"""Whether what a job names exists and fits, asked when the job is submitted: an hour later would be too late."""

from __future__ import annotations

from hanlin.control import job_kinds
from hanlin.control.blobs import require_upload
from hanlin.control.platform import Platform
from hanlin.datasets.values import ReadOptions
from hanlin.engines import split_variant
from hanlin.errors import Conflict, InvalidInput
from hanlin.tasks.base import TASKS
from hanlin.types import ModelRef, Principal, shorten


def check_references(platform: Platform, principal: Principal, job: job_kinds.JobKind) -> None:
    """Raises NotFound, Conflict or InvalidInput naming what is missing or does not fit."""
    match job:
        case job_kinds.Ingest():
            TASKS.get(job.task)
            ReadOptions.from_json(job.options)
            _check_files(platform, principal, job.files)
        case job_kinds.Import():
            TASKS.get(job.task)
            _check_files(platform, principal, job.files)
            if job.rows is not None:
                _check_dataset(platform, principal, job.rows, job.task)
        case job_kinds.Train():
            TASKS.get(job.task)
            _check_dataset(platform, principal, job.dataset, job.task)
            _check_training(platform, principal, job)
            _check_files(platform, principal, [job.vectors] if job.vectors else [])
        case job_kinds.Evaluate() | job_kinds.Compress() | job_kinds.Certify():
            version = platform.registry.resolve(principal.team_id, ModelRef.parse(job.model))
            if job.dataset is not None:
                _check_dataset(platform, principal, job.dataset, version.task)
            _check_variants(job)


def _check_variants(job: job_kinds.Evaluate | job_kinds.Compress | job_kinds.Certify) -> None:
    names = job.variants if isinstance(job, job_kinds.Compress) else [job.variant] if isinstance(job, job_kinds.Certify) else None
    for name in filter(None, names or []):
        split_variant(name)


def _check_files(platform: Platform, principal: Principal, files: list[job_kinds.FileItem]) -> None:
    seen: set[str] = set()
    for file in files:
        if file.path in seen:
            raise InvalidInput("file_named_twice", path=shorten(file.path))
        seen.add(file.path)
        require_upload(platform, principal, file.sha256)


def _check_dataset(platform: Platform, principal: Principal, reference: str, task: str) -> None:
    found = platform.registry.resolve_dataset(principal.team_id, reference)
    if found.task != task:
        raise Conflict("task_mismatch", kind="dataset", name=found.name, task=found.task, other=shorten(task))


def _check_training(platform: Platform, principal: Principal, job: job_kinds.Train) -> None:
    from hanlin.training.config import SCRATCH_MODELS, TrainConfig

    is_scratch = job.model in SCRATCH_MODELS
    TrainConfig.from_json({**job.options, "seed": job.seed}, model=job.model if is_scratch else "base")
    if not is_scratch:
        platform.registry.resolve(principal.team_id, ModelRef.parse(job.model))
