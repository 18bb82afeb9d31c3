"""Every request of the SDK, built once for sync and async. Sends nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import TypeVar
from urllib.parse import quote

from pydantic import JsonValue

from hanlin import __version__
from hanlin.client import replies
from hanlin.client.steps import Call, Reply
from hanlin.client.values import (
    Answer,
    Dataset,
    Deployment,
    Endpoint,
    Entity,
    Job,
    JsonObject,
    Key,
    Model,
    Prediction,
    Ranked,
    Task,
    UploadedFile,
)  # fmt: skip
from hanlin.errors import Internal, InvalidInput
from hanlin.types import LongText, Scope, is_digest, shorten

T = TypeVar("T")
AGENT = f"hanlin-python/{__version__}"
JSON = {"content-type": "application/json"}
# What the part of a path behind such a word names.
KINDS = {"aliases": "alias", "datasets": "dataset", "endpoints": "endpoint", "jobs": "job", "keys": "key", "models": "model"}


def _body(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput("text_not_unicode", position=error.start) from error
    except (ValueError, TypeError) as error:
        raise InvalidInput("not_json", problem=shorten(str(error), 120)) from error


def _path(*parts: str | int) -> str:
    for before, part in zip(("", *parts), parts, strict=False):
        text = str(part)
        # The transport would take the first three for steps in the path; the others are in no name, and in no path of the server.
        if text in {"", ".", ".."} or not (text.isascii() and text.isprintable()) or any(mark in text for mark in "/\\%"):
            kind = "endpoint" if parts[0] == "models" else KINDS.get(str(before), "name")
            raise InvalidInput("invalid_name", kind=kind, name=shorten(text))
    return "/" + "/".join(quote(str(part), safe="") for part in parts)


def _get(path: str, parse: Callable[[Reply], T], **query: str | int | None) -> Call[T]:
    return Call("GET", path, parse, query=tuple((name, str(value)) for name, value in query.items() if value is not None))


def _send(method: str, path: str, parse: Callable[[Reply], T], body: object = None, *, is_idempotent: bool = True) -> Call[T]:
    content, headers = (None, {}) if body is None else (_body(body), JSON)
    return Call(method, path, parse, content=content, headers=headers, is_idempotent=is_idempotent)


# Inference


def predict(endpoint: str, inputs: JsonValue, parameters: JsonObject, parse: Callable[[Reply], T]) -> Call[T]:
    """A prediction: it changes nothing, so it may be retried after a cut."""
    body: JsonObject = {"inputs": inputs}
    if parameters:
        body["parameters"] = parameters
    _check_texts(inputs)
    return Call("POST", _path("models", endpoint), parse, content=_body(body), headers=JSON, has_deadline_header=True)


def _check_texts(inputs: JsonValue) -> None:
    """Raises InvalidInput (`invalid_unicode`) with the place in the text, as the server would; JSON would tell the place in the body."""
    texts = inputs.get("texts") if isinstance(inputs, dict) else inputs
    for index, text in enumerate(texts if isinstance(texts, list) else [texts]):
        try:
            str(text).encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidInput("invalid_unicode", index=index, position=error.start) from error


def ask(endpoint: str, inputs: JsonValue, parameters: JsonObject) -> Call[Answer]:
    """A prediction with all that the server said about it."""
    return predict(endpoint, inputs, parameters, replies.answer)


def classify(endpoint: str, texts: Sequence[str], *, top_k: int | None, truncate: bool) -> Call[list[Prediction]]:
    """Classification of a list of texts."""
    parameters: JsonObject = {}
    if top_k is not None:
        parameters["top_k"] = top_k
    if truncate:
        parameters["truncation"] = True

    def parse(reply: Reply) -> list[Prediction]:
        found = replies.predictions(reply)
        if len(found) != len(texts):
            raise Internal("unexpected_answer", status=reply.status)
        return replies.marked(found, reply)

    return predict(endpoint, list(texts), parameters, parse)


def embed(endpoint: str, texts: Sequence[str], options: Mapping[str, JsonValue]) -> Call[list[list[float]]]:
    """Vectors of a list of texts; options that are None are left to the server."""
    parameters: JsonObject = {name: value for name, value in options.items() if value is not None}
    return predict(endpoint, list(texts), parameters, lambda reply: replies.vectors(reply, count=len(texts)))


def rerank(endpoint: str, query: str, texts: list[str], options: Mapping[str, JsonValue]) -> Call[list[Ranked]]:
    """A ranking of texts; options that are None are left to the server."""
    parameters: JsonObject = {name: value for name, value in options.items() if value is not None}
    return predict(endpoint, {"query": query, "texts": [*texts]}, parameters, replies.many(Ranked, "texts"))


def tag_tokens(endpoint: str, texts: Sequence[str], options: Mapping[str, JsonValue]) -> Call[list[list[Entity]]]:
    """Entities of a list of texts; options that are None are left to the server."""
    parameters: JsonObject = {name: value for name, value in options.items() if value is not None}
    return predict(endpoint, list(texts), parameters, lambda reply: replies.lists(reply, Entity, count=len(texts)))


def describe(endpoint: str) -> Call[Endpoint]:
    """What an endpoint serves."""
    return _get(_path("models", endpoint), replies.one(Endpoint))


# Jobs


def submit_job(kind: str, config: JsonObject, *, idempotency_key: str | None) -> Call[Job]:
    """A new job; a key of our own makes a retry after a cut safe."""
    body = {"kind": kind, "config": config, "idempotency_key": idempotency_key or uuid.uuid4().hex}
    return _send("POST", "/api/v1/jobs", replies.one(Job), body)


def list_jobs(*, state: str | None, limit: int) -> Call[list[Job]]:
    """Newest jobs first."""
    return _get("/api/v1/jobs", replies.many(Job, "jobs"), state=state, limit=limit)


def get_job(job_id: str) -> Call[Job]:
    """One job."""
    return _get(_path("api", "v1", "jobs", job_id), replies.one(Job))


def cancel_job(job_id: str) -> Call[Job]:
    """Ask a job to end; asking twice does no harm."""
    return _send("POST", _path("api", "v1", "jobs", job_id, "cancel"), replies.one(Job))


def job_logs(job_id: str) -> Call[str]:
    """What the job's process wrote."""
    return _get(_path("api", "v1", "jobs", job_id, "logs"), replies.text)


def job_events(job_id: str, after: int) -> Call[None]:
    """The event stream of a job, from event `after` (exclusive) on."""
    headers = {"accept": "text/event-stream", "cache-control": "no-store"}
    if after:
        headers["last-event-id"] = str(after)
    query = (("after", str(after)),)
    return Call("GET", _path("api", "v1", "jobs", job_id, "events"), replies.nothing, query=query, headers=headers)


# Datasets and models


def list_datasets() -> Call[list[Dataset]]:
    """All datasets."""
    return _get("/api/v1/datasets", replies.many(Dataset, "datasets"))


def get_dataset(name: str) -> Call[Dataset]:
    """One dataset with its versions."""
    return _get(_path("api", "v1", "datasets", name), replies.one(Dataset))


def list_models() -> Call[list[Model]]:
    """All models."""
    return _get("/api/v1/models", replies.many(Model, "models"))


def get_model(name: str) -> Call[Model]:
    """One model with its versions."""
    return _get(_path("api", "v1", "models", name), replies.one(Model))


def _version(name: str, number: int, *parts: str) -> str:
    return _path("api", "v1", "models", name, "versions", number, *parts)


def publish_version(name: str, number: int) -> Call[None]:
    """Publish a certified version."""
    return _send("POST", _version(name, number, "publish"), replies.nothing, is_idempotent=False)


def set_alias(name: str, alias: str, number: int) -> Call[None]:
    """Point an alias at a version."""
    return _send("PUT", _path("api", "v1", "models", name, "aliases", alias), replies.nothing, {"version": number})


def delete_alias(name: str, alias: str) -> Call[None]:
    """Remove an alias."""
    return _send("DELETE", _path("api", "v1", "models", name, "aliases", alias), replies.nothing, is_idempotent=False)


def set_notes(name: str, notes: str) -> Call[None]:
    """Replace the editable part of the model card."""
    return _send("PUT", _path("api", "v1", "models", name, "notes"), replies.nothing, {"notes": notes})


def version_card(name: str, number: int) -> Call[str]:
    """The model card in Markdown."""
    return _get(_version(name, number, "card"), replies.text)


def version_picture(name: str, number: int, picture: str) -> Call[bytes]:
    """A picture as SVG."""
    return _get(_version(name, number, "pictures", f"{picture}.svg"), lambda reply: reply.content)


def delete_version(name: str, number: int) -> Call[None]:
    """Delete a version that nothing uses."""
    return _send("DELETE", _version(name, number), replies.nothing, is_idempotent=False)


def version_files(name: str, number: int) -> Call[list[UploadedFile]]:
    """The manifest of a version."""
    return _get(_version(name, number, "files"), _manifest)


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
    shadow: int | None = None,
) -> Call[Deployment]:  # fmt: skip
    """Declare what an endpoint shall serve, or what shall be tried beside it; asking twice does no harm."""
    options = {
        "variant": variant or None, "replicas": replicas, "max_replicas": max_replicas, "long_text": long_text or None,
        "canary": canary, "isolation": isolation, "idle_s": idle_s, "shadow": shadow,
    }  # fmt: skip
    body: JsonObject = {"model": model, "endpoint": endpoint, **{name: value for name, value in options.items() if value is not None}}
    return _send("POST", "/api/v1/deployments", replies.one(Deployment), body)


def list_deployments() -> Call[list[Deployment]]:
    """All deployments."""
    return _get("/api/v1/deployments", replies.many(Deployment, "deployments"))


def list_endpoints() -> Call[list[Endpoint]]:
    """All endpoints."""
    return _get("/api/v1/endpoints", replies.many(Endpoint, "endpoints"))


def get_endpoint(endpoint: str) -> Call[Endpoint]:
    """One endpoint."""
    return _get(_path("api", "v1", "endpoints", endpoint), replies.one(Endpoint))


def update_endpoint(endpoint: str, *, long_text: LongText | None, cache_ttl_s: int | None) -> Call[Endpoint]:
    """Change how an endpoint answers; asking twice does no harm."""
    body = {"long_text": long_text, "cache_ttl_s": cache_ttl_s}
    return _send("PATCH", _path("api", "v1", "endpoints", endpoint), replies.one(Endpoint), body)


def delete_endpoint(endpoint: str) -> Call[None]:
    """Stop serving an endpoint."""
    return _send("DELETE", _path("api", "v1", "endpoints", endpoint), replies.nothing, is_idempotent=False)


def rollback_endpoint(endpoint: str) -> Call[Deployment]:
    """Serve again what the endpoint served before."""
    return _send("POST", _path("api", "v1", "endpoints", endpoint, "rollback"), replies.one(Deployment), is_idempotent=False)


def scale_endpoint(endpoint: str, min_replicas: int, max_replicas: int | None) -> Call[Deployment]:
    """Change how many replicas an endpoint has."""
    body = {"min_replicas": min_replicas, "max_replicas": max_replicas}
    return _send("POST", _path("api", "v1", "endpoints", endpoint, "scale"), replies.one(Deployment), body)


def promote_endpoint(endpoint: str) -> Call[Deployment]:
    """Let the version on trial serve."""
    return _send("POST", _path("api", "v1", "endpoints", endpoint, "promote"), replies.one(Deployment), is_idempotent=False)


def abort_endpoint(endpoint: str) -> Call[Deployment]:
    """End the trial at an endpoint."""
    return _send("POST", _path("api", "v1", "endpoints", endpoint, "abort"), replies.one(Deployment), is_idempotent=False)


def list_tasks() -> Call[list[Task]]:
    """All tasks."""
    return _get("/api/v1/tasks", replies.many(Task, "tasks"))


def list_keys() -> Call[list[Key]]:
    """All keys, without their secrets."""
    return _get("/api/v1/keys", replies.many(Key, "keys"))


def create_key(name: str, scopes: Sequence[Scope], *, expires_at: datetime | None) -> Call[Key]:
    """A new key; its secret is told once."""
    body = {"name": name, "scopes": list(scopes), "expires_at": expires_at.isoformat() if expires_at else None}
    return _send("POST", "/api/v1/keys", replies.one(Key), body, is_idempotent=False)


def revoke_key(key_id: str) -> Call[None]:
    """Make a key worthless."""
    return _send("DELETE", _path("api", "v1", "keys", key_id), replies.nothing)


# Blobs


def blob_status(digest: str) -> Call[Reply]:
    """HEAD: 200 stored, 308 begun, 404 unknown."""
    return Call("HEAD", _path("api", "v1", "blobs", digest), lambda reply: reply, accept=frozenset({404}))


def put_blob(digest: str, piece: bytes, *, offset: int, total: int) -> Call[Reply]:
    """One piece of a blob; sending it again is answered with where to go on."""
    headers = {"content-type": "application/octet-stream"}
    if total:
        headers["content-range"] = f"bytes {offset}-{offset + len(piece) - 1}/{total}"
    path = _path("api", "v1", "blobs", digest)
    return Call("PUT", path, lambda reply: reply, headers=headers, content=piece, accept=frozenset({409, 416}))


def get_blob(digest: str) -> Call[None]:
    """The bytes of a blob, as a stream."""
    return Call("GET", _path("api", "v1", "blobs", digest), replies.nothing)
