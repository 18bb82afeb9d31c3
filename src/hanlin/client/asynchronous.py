"""The SDK for asyncio: `AsyncHanlin`. Every method is one line over `calls.py`, `inference_calls.py`, `flows.py` and `transfer.py`."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

import httpx
from pydantic import JsonValue

from hanlin.client import calls, job_flows, streaming, transfer
from hanlin.client.batches import AsyncBatches
from hanlin.client.connection import find_url
from hanlin.client.core import AsyncCore, AsyncPart, changed_policy, make_policy
from hanlin.client.drivers import AsyncDriver
from hanlin.client.inference import AsyncInference
from hanlin.client.serving import AsyncDeployments, AsyncEndpoints
from hanlin.client.sse import Message
from hanlin.client.value import JsonObject
from hanlin.client.values import Dataset, DatasetCheck, Job, JobEvent, Key, Model, ModelVersion, Task, UploadedFile
from hanlin.types import ModelRef, Scope, check_name

OnEvent = Callable[[JobEvent], None]


class AsyncHanlin(AsyncInference):
    """A connection to a Hanlin server. For one asyncio loop, many calls at once; close it, or use `async with`.

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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = find_url(url)
        policy = make_policy(self.url, key, timeout_s=timeout, max_retries=max_retries, language=language)
        self._begin(AsyncCore(AsyncDriver(self.url, transport=transport), policy))

    def _begin(self, core: AsyncCore) -> None:
        """Parts over `core`."""
        super().__init__(core)
        self.datasets = AsyncDatasets(self._core)
        self.jobs = AsyncJobs(self._core)
        self.models = AsyncModels(self._core)
        self.deployments = AsyncDeployments(self._core)
        self.endpoints = AsyncEndpoints(self._core)
        self.keys = AsyncKeys(self._core)
        self.blobs = AsyncBlobs(self._core)
        self.batches = AsyncBatches(self._core)

    def with_options(self, *, timeout: float | None = None, max_retries: int | None = None) -> AsyncHanlin:
        """The same connection with another deadline or other retries, for some calls: `hanlin.with_options(timeout=2).classify(…)`.

        Closing either closes both.
        """
        other = copy.copy(self)
        other._begin(AsyncCore(self._core.driver, changed_policy(self._core.policy, timeout_s=timeout, max_retries=max_retries)))
        return other

    async def tasks(self) -> list[Task]:
        """The tasks that the server knows."""
        return await self._core.call(calls.list_tasks())

    def listen(self, path: str, *, body: JsonValue = None, after: str = "") -> AsyncGenerator[Message, None]:
        """The messages of any stream of server-sent events, as `/api/v1/jobs/ID/events`; a POST where there is a `body`.

        A broken connection is taken up again behind the last id, as from `after`; a POST is not sent twice, it raises `connection_cut`.
        """
        return self._core.driver.stream(streaming.listen(path, self._core.policy, body=body, after=after), Message)

    async def close(self) -> None:
        """Close all connections."""
        await self._core.driver.close()

    async def __aenter__(self) -> AsyncHanlin:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


class AsyncJobs(AsyncPart):
    """Queued work."""

    async def submit(self, kind: str, config: JsonObject, *, idempotency_key: str | None = None) -> Job:
        """Queue a job; the same idempotency key queues it once."""
        return await self._core.call(calls.submit_job(kind, config, idempotency_key=idempotency_key))

    async def list(self, *, state: str | None = None, limit: int = 50) -> list[Job]:
        """Newest jobs first."""
        return await self._core.call(calls.list_jobs(state=state, limit=limit))

    async def get(self, job_id: str) -> Job:
        """One job."""
        return await self._core.call(calls.get_job(job_id))

    async def cancel(self, job_id: str) -> Job:
        """Ask a job to end."""
        return await self._core.call(calls.cancel_job(job_id))

    async def logs(self, job_id: str) -> str:
        """The job's story (messages, figures of each evaluation, its end), then what its process wrote."""
        return await self._core.call(calls.job_logs(job_id))

    def stream(self, job_id: str, *, after: int = 0, timeout: float | None = None) -> AsyncGenerator[JobEvent, None]:
        """The job's events until it ends, across broken connections."""
        return self._core.driver.stream(job_flows.follow(job_id, self._core.policy, after=after, timeout_s=timeout), JobEvent)

    async def wait(self, job_id: str, *, timeout: float | None = None, on_event: OnEvent | None = None) -> Job:
        """Wait for a good end. Raises the job's own error otherwise, DeadlineExceeded after `timeout` seconds."""
        return await self._core.driver.run(job_flows.wait(job_id, self._core.policy, timeout_s=timeout), on_event)


class AsyncBlobs(AsyncPart):
    """Bytes by digest."""

    async def upload(self, source: str | Path, *, on_bytes: transfer.OnBytes | None = None) -> list[UploadedFile]:
        """Send a file or a folder, resuming what was cut; what the server has is not sent again."""
        return await self._core.driver.run(transfer.upload(Path(source), self._core.policy, on_bytes=on_bytes))

    async def download(self, file: UploadedFile, target: str | Path) -> None:
        """Fetch one file, verified."""
        await self._core.driver.run(transfer.download(file, Path(target), self._core.policy))


class AsyncDatasets(AsyncPart):
    """Named tables of examples."""

    async def list(self) -> list[Dataset]:
        """All datasets."""
        return await self._core.call(calls.list_datasets())

    async def get(self, name: str) -> Dataset:
        """One dataset with its versions."""
        return await self._core.call(calls.get_dataset(name))

    async def add(
        self, name: str, source: str | Path, *, task: str, options: JsonObject | None = None, on_bytes: transfer.OnBytes | None = None
    ) -> Job:
        """Upload a file or folder and queue its ingestion; `jobs.wait` the job that is returned."""
        check_name(name, kind="dataset")  # before a byte is sent
        files = await self._core.driver.run(transfer.upload(Path(source), self._core.policy, on_bytes=on_bytes))
        return await self._core.call(calls.submit_job("ingest", transfer.ingest_config(name, task, files, options), idempotency_key=None))

    async def check(self, dataset: str, *, model: str | None = None, likeness: float = 0.7) -> Job:
        """Queue a look through `name` or `name:3`: near-twins, leaks, doubted labels, lengths in tokens of `model`, languages."""
        config = calls.check_config(dataset, model=model, likeness=likeness)
        return await self._core.call(calls.submit_job("check", config, idempotency_key=None))

    async def found(self, name: str, number: int) -> DatasetCheck:
        """What the newest check of a version found. Raises NotFound (`dataset_not_checked`)."""
        return await self._core.call(calls.get_check(name, number))

    async def delete(self, name: str, number: int | None = None, *, force: bool = False) -> None:
        """Delete a version, or without a number all of it. Refused while a model version was trained on it, unless `force`."""
        await self._core.call(calls.delete_dataset(name, number, force=force))


class AsyncModels(AsyncPart):
    """Models and their versions."""

    async def files(self, name: str, number: int) -> list[UploadedFile]:
        """The manifest of a version."""
        return await self._core.call(calls.version_files(name, number))

    async def list(self) -> list[Model]:
        """All models."""
        return await self._core.call(calls.list_models())

    async def get(self, name: str) -> Model:
        """One model with its versions."""
        return await self._core.call(calls.get_model(name))

    async def resolve(self, reference: str) -> ModelVersion:
        """The version behind `name`, `name@alias` or `name:version`."""
        parsed = ModelRef.parse(reference)
        return (await self.get(parsed.name)).version(parsed)

    async def add(
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
        files = await self._core.driver.run(transfer.upload_model(source, self._core.policy, on_bytes=on_bytes))
        config = transfer.import_config(name, task, files, rows=rows, labels=labels, publish=publish, base=base)
        return await self._core.call(calls.submit_job("import", config, idempotency_key=None))

    async def publish(self, name: str, number: int) -> None:
        """Publish a certified version."""
        await self._core.call(calls.publish_version(name, number))

    async def promote(self, name: str, alias: str, number: int) -> ModelVersion:
        """Point an alias at a version; its `warnings` say when the labels are not those of the version that the alias meant before."""
        return await self._core.call(calls.set_alias(name, alias, number))

    async def demote(self, name: str, alias: str) -> None:
        """Remove an alias; what was deployed by it goes on."""
        await self._core.call(calls.delete_alias(name, alias))

    async def set_notes(self, name: str, notes: str) -> None:
        """Replace the editable part of the card."""
        await self._core.call(calls.set_notes(name, notes))

    async def card(self, name: str, number: int) -> str:
        """The model card in Markdown."""
        return await self._core.call(calls.version_card(name, number))

    async def picture(self, name: str, number: int, picture: str) -> bytes:
        """A picture (`confusion`, `curve`, `pareto`) as SVG."""
        return await self._core.call(calls.version_picture(name, number, picture))

    async def delete(self, name: str, number: int | None = None) -> None:
        """Delete a version, or without a number the model with all its versions; refused while anything uses one of them."""
        await self._core.call(calls.delete_version(name, number))


class AsyncKeys(AsyncPart):
    """API credentials."""

    async def list(self) -> list[Key]:
        """All keys, without secrets."""
        return await self._core.call(calls.list_keys())

    async def create(self, name: str, scopes: Sequence[Scope] = ("predict",), *, expires_at: datetime | None = None) -> Key:
        """A new key; keep its `secret`, it is told once."""
        return await self._core.call(calls.create_key(name, scopes, expires_at=expires_at))

    async def revoke(self, key_id: str) -> None:
        """Make a key worthless."""
        await self._core.call(calls.revoke_key(key_id))
