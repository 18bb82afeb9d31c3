"""Batches: an endpoint answers every row of a file. The job is one like any other; here are its file, its options and its results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from hanlin.client import calls, flows, transfer
from hanlin.client.core import AsyncPart, Part
from hanlin.client.flows import Policy
from hanlin.client.steps import Call, Flow
from hanlin.client.value import JsonObject
from hanlin.client.values import Job, UploadedFile
from hanlin.errors import InvalidInput
from hanlin.types import check_name, shorten

_LOOKED_AT = 100  # jobs of a state, for one that does the same
_SAME = ("endpoint", "file", "text", "id", "parameters", "out_format", "language")


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a file is read, asked and answered.

    Args:
        text: header of the text column; None finds it out.
        id: header of a column that is repeated beside each result.
        parameters: of every call, such as `top_k`.
        format: form of the file; None finds it out.
        out_format: form of the results: jsonl, csv, tsv or parquet.
        window_s: seconds after which rows that are not done are given up; None leaves it to the server (7 days).
        language: of the errors of rows, `en` or `zh`.
    """

    text: str | None = None
    id: str | None = None
    parameters: JsonObject | None = None
    format: str | None = None
    out_format: str = "jsonl"
    window_s: float | None = None
    language: str = "en"

    def config(self, endpoint: str, file: UploadedFile) -> JsonObject:
        """Of the job."""
        given: dict[str, JsonValue] = {
            "text": self.text, "id": self.id, "parameters": self.parameters, "format": self.format, "window_s": self.window_s,
        }  # fmt: skip
        config: JsonObject = {"endpoint": endpoint, "file": file.model_dump(mode="json")}
        config |= {"out_format": self.out_format, "language": self.language}
        return config | {name: value for name, value in given.items() if value is not None}


def submit(
    endpoint: str, source: Path, options: BatchOptions, policy: Policy, *, follow: bool = False, idempotency_key: str | None,
    on_bytes: transfer.OnBytes | None,
) -> Flow[Job]:  # fmt: skip
    """Sends the file, unless the server has it, and queues the job. Raises InvalidInput (`file_not_one`) for a folder."""
    check_name(endpoint, kind="endpoint")  # before a byte is sent
    if source.is_dir():
        raise InvalidInput("file_not_one", path=shorten(str(source), 200))
    files = yield from transfer.upload(source, policy, on_bytes=on_bytes)
    if follow and (under_way := (yield from _under_way(options.config(endpoint, files[0]), policy))) is not None:
        return under_way
    call: Call[Job] = calls.submit_job("batch", options.config(endpoint, files[0]), idempotency_key=idempotency_key)
    return (yield from flows.exchange(call, policy))


def _under_way(config: JsonObject, policy: Policy) -> Flow[Job | None]:
    """The job of the same batch that has not ended; None where there is none."""
    for state in ("queued", "running"):  # the way a job goes: one that begins between the two questions is seen by the second
        for job in (yield from flows.exchange(calls.list_jobs(state=state, limit=_LOOKED_AT), policy)):
            if job.kind == "batch" and all(_asked(job.config, name) == _asked(config, name) for name in _SAME):
                return job
    return None


def _asked(config: JsonObject, name: str) -> JsonValue:
    """What a batch was asked for; of its file, what it holds: the name may differ."""
    found = config.get(name)
    return found.get("sha256") if name == "file" and isinstance(found, dict) else found or None


def file_of(job: Job, name: str) -> UploadedFile | None:
    """What a batch made: its `output` or its `errors`; None where there is none."""
    found = job.result.get(name) if isinstance(job.result, dict) else None
    try:
        return UploadedFile.model_validate(found) if found is not None else None
    except ValidationError:
        return None


def fetch(job: Job, name: str, target: Path, policy: Policy) -> Flow[bool]:
    """Fetches `output` or `errors` to `target`, verified; False where there is none."""
    file = file_of(job, name)
    if file is not None:
        yield from transfer.download(file, target, policy)
    return file is not None


class Batches(Part):
    """Files of rows for an endpoint."""

    def submit(
        self, endpoint: str, source: str | Path, options: BatchOptions | None = None, *, follow: bool = False,
        idempotency_key: str | None = None, on_bytes: transfer.OnBytes | None = None,
    ) -> Job:  # fmt: skip
        """Sends a file and queues its batch; `jobs.wait` the job that is returned, then `fetch` what it made.

        `follow`: where the same batch is queued or running, its job is returned and no second one begun.
        """
        core = self._core
        found = submit(
            endpoint, Path(source), options or BatchOptions(), core.policy, follow=follow, idempotency_key=idempotency_key,
            on_bytes=on_bytes,
        )  # fmt: skip
        return core.driver.run(found)

    def fetch(self, job: Job, target: str | Path, *, errors: bool = False) -> bool:
        """Fetches the results of an ended batch (or its errors) to a file, verified; False where there are none."""
        return self._core.driver.run(fetch(job, "errors" if errors else "output", Path(target), self._core.policy))


class AsyncBatches(AsyncPart):
    """The same for asyncio."""

    async def submit(
        self, endpoint: str, source: str | Path, options: BatchOptions | None = None, *, follow: bool = False,
        idempotency_key: str | None = None, on_bytes: transfer.OnBytes | None = None,
    ) -> Job:  # fmt: skip
        """Sends a file and queues its batch; `jobs.wait` the job that is returned, then `fetch` what it made.

        `follow`: where the same batch is queued or running, its job is returned and no second one begun.
        """
        core = self._core
        found = submit(
            endpoint, Path(source), options or BatchOptions(), core.policy, follow=follow, idempotency_key=idempotency_key,
            on_bytes=on_bytes,
        )  # fmt: skip
        return await core.driver.run(found)

    async def fetch(self, job: Job, target: str | Path, *, errors: bool = False) -> bool:
        """Fetches the results of an ended batch (or its errors) to a file, verified; False where there are none."""
        return await self._core.driver.run(fetch(job, "errors" if errors else "output", Path(target), self._core.policy))
