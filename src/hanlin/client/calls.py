"""Every request of the control API, built once for sync and async. Sends nothing."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath

from hanlin.client import replies
from hanlin.client.building import get, path_of, send
from hanlin.client.steps import Call, Reply
from hanlin.client.value import JsonObject
from hanlin.client.values import (  # fmt: skip
    Dataset,
    DatasetCheck,
    Deployment,
    Endpoint,
    Job,
    Key,
    Model,
    ModelVersion,
    Rollback,
    Task,
    UploadedFile,
)
from hanlin.errors import Internal
from hanlin.types import LongText, Scope, is_digest

# Jobs


def submit_job(kind: str, config: JsonObject, *, idempotency_key: str | None) -> Call[Job]:
    """A new job; a key of our own makes a retry after a cut safe."""
    body = {"kind": kind, "config": config, "idempotency_key": idempotency_key or uuid.uuid4().hex}
    return send("POST", "/api/v1/jobs", replies.one(Job), body)


def list_jobs(*, state: str | None, limit: int) -> Call[list[Job]]:
    """Newest jobs first."""
    return get("/api/v1/jobs", replies.many(Job, "jobs"), state=state, limit=limit)


def get_job(job_id: str) -> Call[Job]:
    """One job."""
    return get(path_of("api", "v1", "jobs", job_id), replies.one(Job))


def cancel_job(job_id: str) -> Call[Job]:
    """Ask a job to end; asking twice does no harm."""
    return send("POST", path_of("api", "v1", "jobs", job_id, "cancel"), replies.one(Job))


def job_logs(job_id: str) -> Call[str]:
    """What the job's process wrote."""
    return get(path_of("api", "v1", "jobs", job_id, "logs"), replies.text)


def job_events(job_id: str, after: int) -> Call[None]:
    """The event stream of a job, from event `after` (exclusive) on."""
    headers = {"accept": "text/event-stream", "cache-control": "no-store"}
    if after:
        headers["last-event-id"] = str(after)
    query = (("after", str(after)),)
    return Call("GET", path_of("api", "v1", "jobs", job_id, "events"), replies.nothing, query=query, headers=headers)


# Datasets and models


def list_datasets() -> Call[list[Dataset]]:
    """All datasets."""
    return get("/api/v1/datasets", replies.many(Dataset, "datasets"))


def get_dataset(name: str) -> Call[Dataset]:
    """One dataset with its versions."""
    return get(path_of("api", "v1", "datasets", name), replies.one(Dataset))


def get_check(name: str, number: int) -> Call[DatasetCheck]:
    """What the newest check of a version found."""
    return get(path_of("api", "v1", "datasets", name, "versions", number, "check"), replies.one(DatasetCheck))


def check_config(dataset: str, *, model: str | None, likeness: float) -> JsonObject:
    """What a job of kind `check` must be told."""
    config: JsonObject = {"dataset": dataset, "likeness": likeness}
    return config | ({"model": model} if model else {})


def delete_dataset(name: str, number: int | None, *, force: bool) -> Call[None]:
    """Delete a version of a dataset, or all of it."""
    path = path_of("api", "v1", "datasets", name, *(() if number is None else ("versions", number)))
    return Call("DELETE", path, replies.nothing, query=(("force", "true"),) if force else (), is_idempotent=False)


def list_models() -> Call[list[Model]]:
    """All models."""
    return get("/api/v1/models", replies.many(Model, "models"))


def get_model(name: str) -> Call[Model]:
    """One model with its versions."""
    return get(path_of("api", "v1", "models", name), replies.one(Model))


def _version(name: str, number: int, *parts: str) -> str:
    return path_of("api", "v1", "models", name, "versions", number, *parts)


def publish_version(name: str, number: int) -> Call[None]:
    """Publish a certified version."""
    return send("POST", _version(name, number, "publish"), replies.nothing, is_idempotent=False)


def set_alias(name: str, alias: str, number: int) -> Call[ModelVersion]:
    """Point an alias at a version."""
    return send("PUT", path_of("api", "v1", "models", name, "aliases", alias), replies.one(ModelVersion), {"version": number})


def delete_alias(name: str, alias: str) -> Call[None]:
    """Remove an alias."""
    return send("DELETE", path_of("api", "v1", "models", name, "aliases", alias), replies.nothing, is_idempotent=False)


def set_notes(name: str, notes: str) -> Call[None]:
    """Replace the editable part of the model card."""
    return send("PUT", path_of("api", "v1", "models", name, "notes"), replies.nothing, {"notes": notes})


def version_card(name: str, number: int) -> Call[str]:
    """The model card in Markdown."""
    return get(_version(name, number, "card"), replies.text)


def version_picture(name: str, number: int, picture: str) -> Call[bytes]:
    """A picture as SVG."""
    return get(_version(name, number, "pictures", f"{picture}.svg"), lambda reply: reply.content)


def delete_version(name: str, number: int | None) -> Call[None]:
    """Delete a version that nothing uses, or a model with all its versions."""
    path = path_of("api", "v1", "models", name) if number is None else _version(name, number)
    return send("DELETE", path, replies.nothing, is_idempotent=False)


def version_files(name: str, number: int) -> Call[list[UploadedFile]]:
    """The manifest of a version."""
    return get(_version(name, number, "files"), _manifest)


def _manifest(reply: Reply) -> list[UploadedFile]:
    files = replies.many(UploadedFile, "files")(reply)
    for file in files:
        path = PurePosixPath(file.path)
        is_inside = not path.is_absolute() and ".." not in path.parts and path.parts and "\\" not in file.path and "\0" not in file.path
        if not (is_inside and is_digest(file.sha256)):
            raise Internal("unexpected_answer", status=reply.status)
    return files


# Deployments, tasks, keys


def create_deployment(
    model: str, endpoint: str, *, variant: str | None, replicas: int | None, max_replicas: int | None = None,
    isolation: str | None = None, idle_s: float | None = None, long_text: LongText | None = None, canary: int | None = None,
    shadow: int | None = None, draft: str | None = None,
) -> Call[Deployment]:  # fmt: skip
    """Declare what an endpoint shall serve, or what shall be tried beside it; asking twice does no harm."""
    options = {
        "variant": variant or None, "replicas": replicas, "max_replicas": max_replicas, "long_text": long_text or None,
        "canary": canary, "isolation": isolation, "idle_s": idle_s, "shadow": shadow, "draft": draft,
    }  # fmt: skip
    body: JsonObject = {"model": model, "endpoint": endpoint, **{name: value for name, value in options.items() if value is not None}}
    return send("POST", "/api/v1/deployments", replies.one(Deployment), body)


def list_deployments() -> Call[list[Deployment]]:
    """All deployments."""
    return get("/api/v1/deployments", replies.many(Deployment, "deployments"))


def list_endpoints() -> Call[list[Endpoint]]:
    """All endpoints."""
    return get("/api/v1/endpoints", replies.many(Endpoint, "endpoints"))


def get_endpoint(endpoint: str) -> Call[Endpoint]:
    """One endpoint."""
    return get(path_of("api", "v1", "endpoints", endpoint), replies.one(Endpoint))


def update_endpoint(endpoint: str, *, long_text: LongText | None, cache_ttl_s: int | None) -> Call[Endpoint]:
    """Change how an endpoint answers; asking twice does no harm."""
    body = {"long_text": long_text, "cache_ttl_s": cache_ttl_s}
    return send("PATCH", path_of("api", "v1", "endpoints", endpoint), replies.one(Endpoint), body)


def delete_endpoint(endpoint: str) -> Call[None]:
    """Stop serving an endpoint."""
    return send("DELETE", path_of("api", "v1", "endpoints", endpoint), replies.nothing, is_idempotent=False)


def rollback_endpoint(endpoint: str, *, to: str | None, expected: str | None) -> Call[Rollback]:
    """Serve again what the endpoint served before; asking twice does no harm."""
    body = {"to": to, "expected": expected}
    return send("POST", path_of("api", "v1", "endpoints", endpoint, "rollback"), replies.one(Rollback), body)


def scale_endpoint(endpoint: str, min_replicas: int, max_replicas: int | None) -> Call[Deployment]:
    """Change how many replicas an endpoint has."""
    body = {"min_replicas": min_replicas, "max_replicas": max_replicas}
    return send("POST", path_of("api", "v1", "endpoints", endpoint, "scale"), replies.one(Deployment), body)


def promote_endpoint(endpoint: str) -> Call[Deployment]:
    """Let the version on trial serve."""
    return send("POST", path_of("api", "v1", "endpoints", endpoint, "promote"), replies.one(Deployment), is_idempotent=False)


def abort_endpoint(endpoint: str) -> Call[Deployment]:
    """End the trial at an endpoint."""
    return send("POST", path_of("api", "v1", "endpoints", endpoint, "abort"), replies.one(Deployment), is_idempotent=False)


def list_tasks() -> Call[list[Task]]:
    """All tasks."""
    return get("/api/v1/tasks", replies.many(Task, "tasks"))


def list_keys() -> Call[list[Key]]:
    """All keys, without their secrets."""
    return get("/api/v1/keys", replies.many(Key, "keys"))


def create_key(name: str, scopes: Sequence[Scope], *, expires_at: datetime | None) -> Call[Key]:
    """A new key; its secret is told once."""
    body = {"name": name, "scopes": list(scopes), "expires_at": expires_at.isoformat() if expires_at else None}
    return send("POST", "/api/v1/keys", replies.one(Key), body, is_idempotent=False)


def revoke_key(key_id: str) -> Call[None]:
    """Make a key worthless."""
    return send("DELETE", path_of("api", "v1", "keys", key_id), replies.nothing)


# Blobs


def blob_status(digest: str) -> Call[Reply]:
    """HEAD: 200 stored, 308 begun, 404 unknown."""
    return Call("HEAD", path_of("api", "v1", "blobs", digest), lambda reply: reply, accept=frozenset({404}))


def put_blob(digest: str, piece: bytes, *, offset: int, total: int) -> Call[Reply]:
    """One piece of a blob; sending it again is answered with where to go on."""
    headers = {"content-type": "application/octet-stream"}
    if total:
        headers["content-range"] = f"bytes {offset}-{offset + len(piece) - 1}/{total}"
    path = path_of("api", "v1", "blobs", digest)
    return Call("PUT", path, lambda reply: reply, headers=headers, content=piece, accept=frozenset({409, 416}))


def get_blob(digest: str) -> Call[None]:
    """The bytes of a blob, as a stream."""
    return Call("GET", path_of("api", "v1", "blobs", digest), replies.nothing)
