"""An endpoint answers every row of a file, in the gaps that other calls leave.

The job is a client of its own server, with a key whose calls take the batch lane: limits, masks and the journal exist once, in the
gateway. It may be killed at any moment: a new attempt goes on behind the last mark, and every row is written once, in order.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

from hanlin.control import files, private_endpoints
from hanlin.control.files import StoredFile
from hanlin.control.job_kinds import Batch
from hanlin.datasets import SourceFile
from hanlin.datasets.inputs import InputColumns
from hanlin.errors import Cancelled, DeadlineExceeded, HanlinError, InvalidInput
from hanlin.pipelines.base import PIPELINES, JobContext
from hanlin.pipelines.batch_calls import Caller
from hanlin.pipelines.batch_forms import Form, OpenAIForm, RowsForm
from hanlin.pipelines.batch_loop import End, Loop
from hanlin.pipelines.batch_pace import Turns
from hanlin.pipelines.batch_results import Results
from hanlin.pipelines.batch_source import Requests, row_lines
from hanlin.pipelines.batch_spool import Spool, build_spool, find_spool
from hanlin.pipelines.batch_tables import write_table
from hanlin.pipelines.data import fetch_files
from hanlin.storage.failures import disk_errors
from hanlin.types import JsonObject, JsonValue

_KEY_GRACE = timedelta(hours=1)  # of the job's key, beyond the end of its time


@PIPELINES.register("batch")
class BatchPipeline:
    """Reads and checks the file, asks row after row, publishes results and errors."""

    def run(self, context: JobContext, config: JsonObject) -> JsonObject:
        """See `Pipeline`. What was done before a cancel or the end of the time is published too."""
        asked = Batch.model_validate(config)
        spool = find_spool(context.workdir) or _spool(context, asked)
        results = Results(context.workdir)
        try:
            end = self._ask(context, asked, spool, results)
        except HanlinError as error:
            if error.code != "lease_lost":  # else another attempt goes on already
                _keep_partial(context, asked, spool, results)
            raise
        results.close()
        if end == "stopped":
            signal.raise_signal(signal.SIGTERM)  # the server ends; the job goes on with its next start
        if end == "done":
            return _publish(context, asked, spool, results)
        given_up = Cancelled("job_cancelled") if end == "cancelled" else DeadlineExceeded("batch_expired")
        if end == "expired" and asked.url is not None:
            results = _give_up(context, asked, spool, given_up)
        _keep_partial(context, asked, spool, results)
        raise given_up

    def _ask(self, context: JobContext, asked: Batch, spool: Spool, results: Results) -> End:
        """Asks what is not done yet."""
        ends_at = context.job.created_at + timedelta(seconds=asked.window_s)
        key = private_endpoints.batch_key(context.platform, context.principal, owner=context.job.id, expires_at=ends_at + _KEY_GRACE)
        with key as secret, _terminate_later():
            caller = Caller(context.server_url, secret, Turns(), asked.language)
            loop = Loop(context, _form(context, asked), spool, results, ends_at=ends_at)
            return asyncio.run(loop.run(caller))


def _spool(context: JobContext, asked: Batch) -> Spool:
    """The rows of the file, checked. Raises InvalidInput; what is wrong with lines of requests is kept as the job's result."""
    limit = context.platform.settings.max_batch_rows
    context.progress.message("reading_rows", file=asked.file.path)
    file = SourceFile(asked.file.path, fetch_files(context, [asked.file], context.workdir / "files")[0])
    requests = None if asked.url is None else Requests(file, asked.url, max_rows=limit)
    lines = row_lines(file, asked.format, InputColumns(asked.text, asked.id), max_rows=limit) if requests is None else requests.lines()
    try:
        found = build_spool(context.workdir, lines, context.progress.check_cancelled)
    except InvalidInput:
        if requests is not None and requests.problems:
            context.platform.jobs.keep_result(context.job, {"problems": cast("JsonValue", requests.problems)})
        raise
    shutil.rmtree(context.workdir / "files", ignore_errors=True)
    if not found.rows:
        raise InvalidInput("batch_empty")
    return found


def _form(context: JobContext, asked: Batch) -> Form:
    if asked.url is not None:
        return OpenAIForm(asked.url, "batch_" + context.job.id.removeprefix("job_"))
    assert asked.endpoint is not None
    return RowsForm(asked.endpoint, asked.parameters, asked.language, min(64, context.platform.settings.max_items))


def _give_up(context: JobContext, asked: Batch, spool: Spool, error: HanlinError) -> Results:
    """The results with a line of errors for each row that was not asked in time."""
    form, results = _form(context, asked), Results(context.workdir)
    for row, offset in spool.read(results.mark.offset):
        results.add([], [form.given_up(row, error)], offset)
    results.save()
    return results


def _keep_partial(context: JobContext, asked: Batch, spool: Spool, results: Results) -> None:
    """What is done of a batch that will not be; a cancel's SIGTERM must not come between."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    results.save()
    results.close()
    context.platform.jobs.keep_result(context.job, _publish(context, asked, spool, results))


def _publish(context: JobContext, asked: Batch, spool: Spool, results: Results) -> JsonObject:
    """Results and errors as files of the team; what the job tells of them."""
    output, mark = results.output, results.mark
    if asked.out_format != "jsonl":
        output = context.workdir / f"output.{asked.out_format}"
        with disk_errors():
            write_table(results.output, output, asked.out_format, has_ids=bool(asked.id))
    stem = asked.file.path.rpartition("/")[2].rpartition(".")[0] or "batch"
    kept: dict[str, StoredFile | None] = {"output": None, "errors": None}
    team, job = context.job.team_id, context.job.id
    if mark.completed or not mark.failed:
        name = f"{stem}.results.{asked.out_format}"
        kept["output"] = files.keep(context.platform, team, output, name=name, purpose="batch_output", job_id=job)
    if mark.failed:
        kept["errors"] = files.keep(
            context.platform, team, results.errors, name=f"{stem}.errors.jsonl", purpose="batch_errors", job_id=job
        )  # fmt: skip
    counts: JsonObject = {"endpoint": asked.endpoint, "total": spool.rows, "completed": mark.completed, "failed": mark.failed}
    return counts | {name: file.to_json() if file else None for name, file in kept.items()}


@contextmanager
def _terminate_later() -> Iterator[None]:
    """Inside, SIGTERM is the loop's to handle; its own handler comes back only when what was done is safe."""
    former: Any = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
