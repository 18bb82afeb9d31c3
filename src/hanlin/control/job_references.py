"""Whether what a job names exists and fits, asked when the job is submitted: an hour later would be too late."""

from __future__ import annotations

import json

from hanlin.control import job_kinds
from hanlin.control.blobs import find_blob, require_upload
from hanlin.control.deployment_rows import find_endpoint
from hanlin.control.job_exams import asked_task
from hanlin.control.platform import Platform
from hanlin.datasets.options import ReadOptions
from hanlin.engines import REFERENCE, check_apart, reference_in, split_variant, variant_names
from hanlin.errors import Conflict, InvalidInput, NotFound
from hanlin.models.allowed import CAUSAL_TYPES, MODEL_TYPES, SEQ2SEQ_TYPES
from hanlin.models.writers import own_types
from hanlin.networks.encoder_form import ENCODER_TYPES, check_form
from hanlin.registry.values import DatasetVersion, ModelVersion
from hanlin.tasks.base import TASKS
from hanlin.tasks.prompt_form import PROMPT_FILE
from hanlin.types import ModelRef, Principal, shorten

_MAX_CONFIG_BYTES = 8 * 2**20  # as at import
_MAX_LOOKED_AT = 100  # jobs, where a dataset is not there


def check_references(platform: Platform, principal: Principal, job: job_kinds.JobKind) -> None:
    """Raises NotFound, Conflict or InvalidInput naming what is missing or does not fit."""
    match job:
        case job_kinds.Ingest():
            _check_trainable(job.task)
            ReadOptions.from_json(job.options)
            _check_files(platform, principal, job.files)
        case job_kinds.Check():
            _dataset(platform, principal, job.dataset)
            if job.model is not None:
                platform.registry.resolve(principal.team_id, ModelRef.parse(job.model))
        case job_kinds.Import():
            TASKS.get(job.task)
            _check_files(platform, principal, job.files)
            if job.rows is not None:
                _check_texts(platform, principal, job.rows, job.task)
            if job.base is not None:
                is_asked = any(file.path == PROMPT_FILE for file in job.files)
                task = "text-generation" if is_asked else job.task
                _check_base(platform, platform.registry.resolve(principal.team_id, ModelRef.parse(job.base)), task)
        case job_kinds.Train():
            _check_trainable(job.task)
            _check_dataset(platform, principal, job.dataset, job.task)
            _check_training(platform, principal, job)
            _check_vectors(platform, principal, job)
        case job_kinds.FineTune():
            _check_trainable(job.task)
            _check_files(platform, principal, [file for file in (job.training_file, job.validation_file) if file])
            _check_training(platform, principal, job)
        case job_kinds.Batch():
            check_batch(platform, principal, job)
        case job_kinds.Evaluate() | job_kinds.Compress() | job_kinds.Certify():
            _check_measured(platform, principal, job)


def check_batch(platform: Platform, principal: Principal, job: job_kinds.Batch) -> None:
    """Raises InvalidInput (`batch_file_too_large`), NotFound (`endpoint_not_found`, `blob_not_found`), PermissionDenied."""
    principal.require("predict")
    found = find_blob(platform, principal, job.file.sha256)
    limit = platform.settings.max_batch_file_bytes
    if found.size_bytes > limit:
        raise InvalidInput("batch_file_too_large", size_bytes=found.size_bytes, limit=limit)
    if job.endpoint is not None:
        with platform.database.read() as session:
            find_endpoint(session, principal.team_id, job.endpoint)


def _check_measured(platform: Platform, principal: Principal, job: job_kinds.Evaluate | job_kinds.Compress | job_kinds.Certify) -> None:
    version = platform.registry.resolve(principal.team_id, ModelRef.parse(job.model))
    if version.is_base:
        raise Conflict("base_has_no_head", version=str(version))
    if job.dataset is not None:
        check = _check_dataset if isinstance(job, job_kinds.Evaluate) else _check_texts
        check(platform, principal, job.dataset, version.task)
    _check_variants(platform, version, job)
    if not isinstance(job, job_kinds.Evaluate):
        asked_task(platform, principal.team_id, version, job)


def _check_variants(platform: Platform, version: ModelVersion, job: job_kinds.Evaluate | job_kinds.Compress | job_kinds.Certify) -> None:
    """A compression makes its variants, all but the tests' fake; only one that was made can be certified."""
    if isinstance(job, job_kinds.Compress):
        _check_bounds(version, job)
        for name in job.variants or ():
            if name not in variant_names():
                raise InvalidInput("unknown_variant", variant=shorten(name), choices=", ".join(variant_names()))
            check_apart(name, platform.settings.pythons)
            if reference_in(version.lineage) != REFERENCE and name.startswith("torch-"):
                raise InvalidInput("no_torch_weights", variant=name, reference=reference_in(version.lineage))
    elif isinstance(job, job_kinds.Certify) and job.variant is not None:
        split_variant(job.variant)
        if job.variant not in {variant.variant for variant in platform.registry.list_variants(version)}:
            raise NotFound("not_found", kind="variant", name=shorten(f"{version.model}:{version.number} {job.variant}"))


def _check_bounds(version: ModelVersion, job: job_kinds.Compress) -> None:
    """Only of a model that goes on with texts, and is not asked for another task, is known what it finds likeliest next."""
    is_read = TASKS.get(version.task).head == "continuations" and "prompt" not in version.lineage
    for option in ("max_kl", "min_greedy_agreement"):
        if getattr(job, option) is not None and not is_read:
            raise InvalidInput("bound_needs_reading", option=option, task=version.task)


def _check_vectors(platform: Platform, principal: Principal, job: job_kinds.Train) -> None:
    if job.vectors and job.raw_text:
        raise InvalidInput("vectors_twice")
    for file in (job.vectors, job.raw_text):
        _check_files(platform, principal, [file] if file else [])


def _check_files(platform: Platform, principal: Principal, files: list[job_kinds.FileItem]) -> None:
    seen: set[str] = set()
    for file in files:
        if file.path in seen:
            raise InvalidInput("file_named_twice", path=shorten(file.path))
        seen.add(file.path)
        require_upload(platform, principal, file.sha256)


def _dataset(platform: Platform, principal: Principal, reference: str) -> DatasetVersion:
    """Raises NotFound: `dataset_being_made` while a job makes one of that name."""
    try:
        return platform.registry.resolve_dataset(principal.team_id, reference)
    except NotFound as error:
        name = reference.partition(":")[0]
        for state in ("running", "queued"):
            for job in platform.jobs.list(principal.team_id, state=state, limit=_MAX_LOOKED_AT):
                if job.kind == "ingest" and job.config["dataset"] == name:
                    raise NotFound("dataset_being_made", name=name, job=job.id) from error
        raise


def _check_dataset(platform: Platform, principal: Principal, reference: str, task: str) -> None:
    found = _dataset(platform, principal, reference)
    if found.task != task:
        raise Conflict("task_mismatch", kind="dataset", name=found.name, task=found.task, other=shorten(task))


def _check_trainable(task: str) -> None:
    if not TASKS.get(task).examples.has_answers:
        raise InvalidInput("task_not_trained_here", task=task)


def _check_texts(platform: Platform, principal: Principal, reference: str, task: str) -> None:
    """A model without labels can be judged on anybody's texts; one with labels needs rows of its own task."""
    if TASKS.get(task).head == "labels":
        _check_dataset(platform, principal, reference, task)
    else:
        _dataset(platform, principal, reference)


def _check_training(platform: Platform, principal: Principal, job: job_kinds.Train | job_kinds.FineTune) -> None:
    from hanlin.training.config import TrainConfig
    from hanlin.training.option_rules import SCRATCH_MODELS, check_effects
    from hanlin.training.search.space import Space

    if job.options.get("seed", job.seed) != job.seed:
        raise InvalidInput(
            "invalid_training_option", name="'seed'", value=shorten(str(job.options["seed"])), right=f"{job.seed}, as beside"
        )
    if job.options.get("task", job.task) != job.task:
        raise InvalidInput(
            "invalid_training_option", name="'task'", value=shorten(str(job.options["task"])), right=f"{job.task}, as beside"
        )
    is_scratch = job.model in SCRATCH_MODELS
    options, model = {**job.options, "seed": job.seed}, job.model if is_scratch else "base"
    config = TrainConfig.from_json(options, model=model, task=job.task)
    config.check_adapter()
    check_effects({name: True for name in ("vectors", "raw_text") if getattr(job, name, None)}, {}, config.case)
    if isinstance(job, job_kinds.Tune):
        Space.from_json(job.space, fixed=options, model=model, task=job.task)
    if not is_scratch:
        kind = _check_base(platform, platform.registry.resolve(principal.team_id, ModelRef.parse(job.model)), job.task, is_start=True)
        if kind and TASKS.get(job.task).head == "targets":
            config.check_decoder(is_new=kind in ENCODER_TYPES)


def _check_base(platform: Platform, base: ModelVersion, task: str, *, is_start: bool = False) -> str:
    """Encoders can be fine-tuned to read, decoders to go on, both together to write; ours that read are trained from scratch.

    A damaged or missing config is the job's to tell.

    Args:
        is_start: whether a network may be made of it that has more parts: an encoder gets a decoder.

    Returns:
        The kind of its network; empty where that is not told.
    """
    if (reference := reference_in(base.lineage)) != REFERENCE:
        raise InvalidInput("no_torch_weights", variant="`hanlin train`", reference=reference)
    config = next((file for file in base.manifest.files if file.path == "config.json"), None)
    if config is None or config.size_bytes > _MAX_CONFIG_BYTES:
        return ""
    with platform.blobs.open(config.sha256) as stream:
        found = json.loads(stream.read())
    kind = found.get("model_type") if isinstance(found, dict) else None
    head = TASKS.get(task).head
    choices = {"continuations": CAUSAL_TYPES, "targets": SEQ2SEQ_TYPES}.get(head, MODEL_TYPES) + own_types(head)
    if is_start and head == "targets":
        choices = ENCODER_TYPES if task == "text-to-sql" else (*choices, *ENCODER_TYPES)
        if kind in ENCODER_TYPES:
            check_form(found)
    if kind not in choices:
        raise InvalidInput(
            "base_of_another_kind", version=str(base), architecture=shorten(str(kind)), task=task, choices=", ".join(choices)
        )
    return str(kind)
