"""`hanlin batch`."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hanlin.cli.options import EndpointName, JsonFlag, Wait, add_command, connect, named_values
from hanlin.cli.screen import SCREEN
from hanlin.cli.shape import figure, part, words
from hanlin.cli.waiting import uploading, wait_for
from hanlin.cli.words import name_of, say
from hanlin.errors import Conflict, HanlinError, InvalidInput
from hanlin.messages import terminal_language
from hanlin.types import shorten

if TYPE_CHECKING:
    from hanlin.client import Hanlin, Job

FORMATS = ("jsonl", "csv", "tsv", "parquet")


def register(app: typer.Typer) -> None:
    """Add the command."""
    add_command(app, "batch", batch, "help.batch")


def batch(  # noqa: PLR0917  # Typer passes them by name
    endpoint: EndpointName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help=say("option.batch_file"))],
    text: Annotated[str | None, typer.Option("--text", help=say("option.text"), metavar="COLUMN")] = None,
    id: Annotated[str | None, typer.Option("--id", help=say("option.batch_id"), metavar="COLUMN")] = None,  # noqa: A002  # the option's name
    out: Annotated[Path | None, typer.Option("--out", help=say("option.batch_out"), metavar="FILE")] = None,
    errors: Annotated[Path | None, typer.Option("--errors", help=say("option.batch_errors"), metavar="FILE")] = None,
    format: Annotated[str | None, typer.Option("--format", help=say("option.batch_format"), metavar="|".join(FORMATS))] = None,  # noqa: A002
    more: Annotated[list[str] | None, typer.Option("--set", help=say("option.batch_set"), metavar="NAME=VALUE")] = None,
    within: Annotated[float | None, typer.Option("--within", help=say("option.batch_within"), min=1, max=30 * 24, metavar="HOURS")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help=say("option.batch_overwrite"))] = False,
    wait: Wait = True,
    json: JsonFlag = False,
) -> None:
    """See `help.batch`. Exit status 1 where a row failed."""
    from hanlin.client.batches import BatchOptions

    out_format = _format(format, out)
    target = out or file.parent / f"{file.stem}.results.{out_format}"
    failures = errors or file.parent / f"{file.stem}.errors.jsonl"
    _refuse_twins(file, target, failures)
    _refuse_to_overwrite(() if overwrite or not wait else (target, failures))
    options = BatchOptions(
        text=text, id=id, parameters=named_values(more or []), out_format=out_format,
        window_s=None if within is None else within * 3600, language=terminal_language(),
    )  # fmt: skip
    with connect() as hanlin:
        hanlin.describe(endpoint)  # whether there is one, before a large file is sent
        with uploading(file) as bar:
            job = hanlin.batches.submit(endpoint, file, options, follow=True, on_bytes=bar)
        if job.started_at is not None and not json:
            SCREEN.note(say("wait.batch_followed", job=job.id))
        if wait:
            job = _follow(hanlin, job, target, failures, is_quiet=json)
        elif not json:
            SCREEN.line(say("wait.batch_queued", job=job.id))
        if json:
            SCREEN.document(job.model_dump(mode="json"))
    _end(job)


def _refuse_twins(*paths: Path) -> None:
    """Raises InvalidInput (`batch_files_same`) where what is read, the results and the errors are not three files."""
    for path, later in itertools.combinations(paths, 2):
        is_linked = path.exists() and later.exists() and path.samefile(later)
        if is_linked or os.path.realpath(path) == os.path.realpath(later):
            raise InvalidInput("batch_files_same", path=shorten(str(later), 200))


def _refuse_to_overwrite(paths: Iterable[Path]) -> None:
    """Raises Conflict (`batch_file_exists`)."""
    for path in paths:
        if path.exists():
            raise Conflict("batch_file_exists", path=shorten(str(path), 200))


def _end(job: Job) -> None:
    """Exit status 1 where rows failed: whoever runs this in a script shall notice."""
    if part(job.result, "failed"):
        raise typer.Exit(1)


def results(
    job_id: Annotated[str, typer.Argument(metavar="JOB", help=say("option.job"))],
    out: Annotated[Path | None, typer.Option("--out", help=say("option.batch_out"), metavar="FILE")] = None,
    errors: Annotated[Path | None, typer.Option("--errors", help=say("option.batch_errors"), metavar="FILE")] = None,
    json: JsonFlag = False,
) -> None:
    """See `help.job_results`. Without `--out` and `--errors` the files lie in the current folder, named after the batch's own file."""
    with connect() as hanlin:
        job = hanlin.jobs.get(job_id)
        if job.kind != "batch":
            raise InvalidInput("not_a_batch", job=job.id, kind=name_of("job_kind", job.kind))
        stem = Path(words(part(part(job.config, "file"), "path"))).stem
        target = out or Path(f"{stem}.results.{words(part(job.config, 'out_format')) or FORMATS[0]}")
        failures = errors or Path(f"{stem}.errors.jsonl")
        _refuse_twins(target, failures)
        job = _follow(hanlin, job, target, failures, is_quiet=json)
    if json:
        SCREEN.document(job.model_dump(mode="json"))
    _end(job)


def _follow(hanlin: Hanlin, job: Job, target: Path, errors: Path, *, is_quiet: bool) -> Job:
    """Waits, and fetches what the batch made, also when it ended before its last row. Raises the job's own error."""
    try:
        job = wait_for(hanlin, job)
    except HanlinError:
        _fetch(hanlin, hanlin.jobs.get(job.id), target, errors, is_quiet=True)
        raise
    _fetch(hanlin, job, target, errors, is_quiet=is_quiet)
    return job


def _fetch(hanlin: Hanlin, job: Job, target: Path, errors: Path, *, is_quiet: bool) -> None:
    has_output = hanlin.batches.fetch(job, target)
    has_errors = hanlin.batches.fetch(job, errors, errors=True)
    if is_quiet:
        return
    total, completed, failed = (figure(int(words(part(job.result, name)) or 0)) for name in ("total", "completed", "failed"))
    SCREEN.line(say("batch.done", total=total, completed=completed, failed=failed))
    if has_output:
        SCREEN.line(say("batch.results", path=target))
    if has_errors:
        SCREEN.line(say("batch.errors", path=errors))


def _format(asked: str | None, out: Path | None) -> str:
    """Of the results: as asked for, else by the name of the file. Raises InvalidInput (`unknown_batch_format`)."""
    found = asked or (out.suffix.removeprefix(".").lower() if out else "") or FORMATS[0]
    if found in FORMATS:
        return found
    if asked is None:
        return FORMATS[0]
    raise InvalidInput("unknown_batch_format", format=shorten(found), choices=", ".join(FORMATS))
