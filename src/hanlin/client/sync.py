"""The blocking SDK: `Hanlin`. Every method is one line over `calls.py`, `inference_calls.py`, `flows.py` and `transfer.py`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

import httpx
from pydantic import JsonValue

from hanlin.client import calls, job_flows, streaming, transfer
from hanlin.client.batches import Batches
from hanlin.client.connection import find_url
from hanlin.client.core import Core, Part, changed_policy, make_policy
from hanlin.client.drivers import Driver
from hanlin.client.inference import Inference
from hanlin.client.serving import Deployments, Endpoints
from hanlin.client.sse import Message
from hanlin.client.value import JsonObject
from hanlin.client.values import Dataset, DatasetCheck, Job, JobEvent, Key, Model, ModelVersion, Task, UploadedFile
from hanlin.types import ModelRef, Scope, check_name

OnEvent = Callable[[JobEvent], None]


class Hanlin(Inference):
    """A connection to a Hanlin server. Safe to share between threads; close it, or use `with`.

    Args:
        url: the server; None reads `HANLIN_URL`, then the running local server's own note, then
            `HANLIN_HOST` and `HANLIN_PORT`, then http://127.0.0.1:8000.
        key: the API key; None reads `HANLIN_KEY`, then the local server's owner key.
        timeout: seconds for one call in all, retries included.
        max_retries: further attempts when the server cannot be reached, is busy or is starting.
        language: `en` or `zh`, the language of the server's messages.

    Raises:
        Unauthenticated: `key_missing` when there is no key anywhere.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 30.0,
        max_retries: int = 4,
        language: str = "en",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = find_url(url)
        policy = make_policy(self.url, key, timeout_s=timeout, max_retries=max_retries, language=language)
        self._begin(Core(Driver(self.url, transport=transport), policy))

    def _begin(self, core: Core) -> None:
        """Parts over `core`."""
        super().__init__(core)
        self.datasets = Datasets(self._core)
        self.jobs = Jobs(self._core)
        self.models = Models(self._core)
        self.deployments = Deployments(self._core)
        self.endpoints = Endpoints(self._core)
        self.keys = Keys(self._core)
        self.blobs = Blobs(self._core)
        self.batches = Batches(self._core)

    def with_options(self, *, timeout: float | None = None, max_retries: int | None = None) -> Hanlin:
        """The same connection with another deadline or other retries, for some calls: `hanlin.with_options(timeout=2).classify(…)`.

        Closing either closes both.
        """
        other = copy.copy(self)
        other._begin(Core(self._core.driver, changed_policy(self._core.policy, timeout_s=timeout, max_retries=max_retries)))
        return other

    def tasks(self) -> list[Task]:
        """The tasks that the server knows."""
        return self._core.call(calls.list_tasks())

    def listen(self, path: str, *, body: JsonValue = None, after: str = "") -> Generator[Message, None, None]:
        """The messages of any stream of server-sent events, as `/api/v1/jobs/ID/events`; a POST where there is a `body`.

        A broken connection is taken up again behind the last id, as from `after`; a POST is not sent twice, it raises `connection_cut`.
        """
        return self._core.driver.stream(streaming.listen(path, self._core.policy, body=body, after=after), Message)

    def close(self) -> None:
        """Close all connections."""
        self._core.driver.close()

    def __enter__(self) -> Hanlin:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Jobs(Part):
    """Queued work."""

    def submit(self, kind: str, config: JsonObject, *, idempotency_key: str | None = None) -> Job:
        """Queue a job; the same idempotency key queues it once."""
        return self._core.call(calls.submit_job(kind, config, idempotency_key=idempotency_key))

    def list(self, *, state: str | None = None, limit: int = 50) -> list[Job]:
        """Newest jobs first."""
        return self._core.call(calls.list_jobs(state=state, limit=limit))

    def get(self, job_id: str) -> Job:
        """One job."""
        return self._core.call(calls.get_job(job_id))

    def cancel(self, job_id: str) -> Job:
        """Ask a job to end."""
        return self._core.call(calls.cancel_job(job_id))

    def logs(self, job_id: str) -> str:
        """The job's story (messages, figures of each evaluation, its end), then what its process wrote."""
        return self._core.call(calls.job_logs(job_id))

    def stream(self, job_id: str, *, after: int = 0, timeout: float | None = None) -> Generator[JobEvent, None, Job]:
        """The job's events until it ends, across broken connections. The generator returns the ended job."""
        return self._core.driver.stream(job_flows.follow(job_id, self._core.policy, after=after, timeout_s=timeout), JobEvent)

    def wait(self, job_id: str, *, timeout: float | None = None, on_event: OnEvent | None = None) -> Job:
        """Wait for a good end. Raises the job's own error otherwise, DeadlineExceeded after `timeout` seconds."""
        return self._core.driver.run(job_flows.wait(job_id, self._core.policy, timeout_s=timeout), on_event)


class Blobs(Part):
    """Bytes by digest."""

    def upload(self, source: str | Path, *, on_bytes: transfer.OnBytes | None = None) -> list[UploadedFile]:
        """Send a file or a folder, resuming what was cut; what the server has is not sent again."""
        return self._core.driver.run(transfer.upload(Path(source), self._core.policy, on_bytes=on_bytes))

    def download(self, file: UploadedFile, target: str | Path) -> None:
        """Fetch one file, verified."""
        self._core.driver.run(transfer.download(file, Path(target), self._core.policy))


class Datasets(Part):
    """Named tables of examples."""

    def list(self) -> list[Dataset]:
        """All datasets."""
        return self._core.call(calls.list_datasets())

    def get(self, name: str) -> Dataset:
        """One dataset with its versions."""
        return self._core.call(calls.get_dataset(name))

    def add(
        self, name: str, source: str | Path, *, task: str, options: JsonObject | None = None, on_bytes: transfer.OnBytes | None = None
    ) -> Job:
        """Upload a file or folder and queue its ingestion; `jobs.wait` the job that is returned."""
        check_name(name, kind="dataset")  # before a byte is sent
        files = self._core.driver.run(transfer.upload(Path(source), self._core.policy, on_bytes=on_bytes))
        return self._core.call(calls.submit_job("ingest", transfer.ingest_config(name, task, files, options), idempotency_key=None))

    def check(self, dataset: str, *, model: str | None = None, likeness: float = 0.7) -> Job:
        """Queue a look through `name` or `name:3`: near-twins, leaks, doubted labels, lengths in tokens of `model`, languages."""
        config = calls.check_config(dataset, model=model, likeness=likeness)
        return self._core.call(calls.submit_job("check", config, idempotency_key=None))

    def found(self, name: str, number: int) -> DatasetCheck:
        """What the newest check of a version found. Raises NotFound (`dataset_not_checked`)."""
        return self._core.call(calls.get_check(name, number))

    def delete(self, name: str, number: int | None = None, *, force: bool = False) -> None:
        """Delete a version, or without a number all of it. Refused while a model version was trained on it, unless `force`."""
        self._core.call(calls.delete_dataset(name, number, force=force))


class Models(Part):
    """Models and their versions."""

    def files(self, name: str, number: int) -> list[UploadedFile]:
        """The manifest of a version."""
        return self._core.call(calls.version_files(name, number))

    def list(self) -> list[Model]:
        """All models."""
        return self._core.call(calls.list_models())

    def get(self, name: str) -> Model:
        """One model with its versions."""
        return self._core.call(calls.get_model(name))

    def resolve(self, reference: str) -> ModelVersion:
        """The version behind `name`, `name@alias` or `name:version`."""
        parsed = ModelRef.parse(reference)
        return self.get(parsed.name).version(parsed)

    def add(
        self,
        name: str,
        source: str | Path,
        *,
        task: str,
        rows: str | None = None,
        labels: Sequence[str] | None = None,
        base: str | None = None,
        publish: bool = True,
        on_bytes: transfer.OnBytes | None = None,
    ) -> Job:
        """Upload a model folder and queue its import.

        Args:
            name: of the model.
            source: the folder, or a model on a hub (`hf:org/name@revision`, `modelscope:org/name`), which is fetched here first.
            task: what the model is for.
            rows: name of a dataset to certify with.
            labels: names of the model's outputs, in their order, where the folder has none worth keeping.
            base: the model that it stands on, where the folder holds an adapter of peft's.
            publish: certify and publish it at once.
            on_bytes: told of the upload's progress.
        """
        check_name(name, kind="model")  # before a byte is sent
        files = self._core.driver.run(transfer.upload_model(source, self._core.policy, on_bytes=on_bytes))
        config = transfer.import_config(name, task, files, rows=rows, labels=labels, publish=publish, base=base)
        return self._core.call(calls.submit_job("import", config, idempotency_key=None))

    def publish(self, name: str, number: int) -> None:
        """Publish a certified version."""
        self._core.call(calls.publish_version(name, number))

    def promote(self, name: str, alias: str, number: int) -> ModelVersion:
        """Point an alias at a version; its `warnings` say when the labels are not those of the version that the alias meant before."""
        return self._core.call(calls.set_alias(name, alias, number))

    def demote(self, name: str, alias: str) -> None:
        """Remove an alias; what was deployed by it goes on."""
        self._core.call(calls.delete_alias(name, alias))

    def set_notes(self, name: str, notes: str) -> None:
        """Replace the editable part of the card."""
        self._core.call(calls.set_notes(name, notes))

    def card(self, name: str, number: int) -> str:
        """The model card in Markdown."""
        return self._core.call(calls.version_card(name, number))

    def picture(self, name: str, number: int, picture: str) -> bytes:
        """A picture (`confusion`, `curve`, `pareto`) as SVG."""
        return self._core.call(calls.version_picture(name, number, picture))

    def delete(self, name: str, number: int | None = None) -> None:
        """Delete a version, or without a number the model with all its versions; refused while anything uses one of them."""
        self._core.call(calls.delete_version(name, number))


class Keys(Part):
    """API credentials."""

    def list(self) -> list[Key]:
        """All keys, without secrets."""
        return self._core.call(calls.list_keys())

    def create(self, name: str, scopes: Sequence[Scope] = ("predict",), *, expires_at: datetime | None = None) -> Key:
        """A new key; keep its `secret`, it is told once."""
        return self._core.call(calls.create_key(name, scopes, expires_at=expires_at))

    def revoke(self, key_id: str) -> None:
        """Make a key worthless."""
        self._core.call(calls.revoke_key(key_id))
