"""`hanlin job …`."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

import typer

from hanlin.cli import batch, show_model
from hanlin.cli.options import JsonFlag, add_command, connect, group
from hanlin.cli.screen import SCREEN, cell, grid
from hanlin.cli.shape import moment, pairs, part, words
from hanlin.cli.training import tell_next
from hanlin.cli.waiting import figures, wait_for
from hanlin.cli.words import name_of, say
from hanlin.messages import terminal_language
from hanlin.types import subject_of

if TYPE_CHECKING:
    from rich.text import Text

    from hanlin.client import Job

JobId = Annotated[str, typer.Argument(metavar="JOB", help=say("option.job"))]
CANCELLED = {"queued": "cancelling", "running": "cancelling"}  # else its state: "cancelled", "succeeded", "failed"
STYLES = {"succeeded": "green", "failed": "red", "running": "cyan", "cancelled": "yellow"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    job = group(app, "job")
    add_command(job, "list", list_, "help.job_list")
    add_command(job, "show", show, "help.job_show")
    add_command(job, "wait", wait, "help.job_wait")
    add_command(job, "results", batch.results, "help.job_results")
    add_command(job, "logs", logs, "help.job_logs")
    add_command(job, "cancel", cancel, "help.job_cancel")


def list_(
    state: Annotated[str | None, typer.Option("--state", help=say("option.state"))] = None,
    limit: Annotated[int, typer.Option("--limit", help=say("option.limit"), min=1, max=500)] = 20,
    json: JsonFlag = False,
) -> None:
    """See `help.job_list`."""
    with connect() as hanlin:
        found = hanlin.jobs.list(state=state, limit=limit)
    if json:
        SCREEN.document([job.model_dump(mode="json") for job in found])
        return
    rows = [
        (
            job.id, name_of("job_kind", job.kind), subject_of(job.kind, job.config), _state(job),
            _progress(job, 2), moment(job.created_at), _took(job),
        )
        for job in found
    ]  # fmt: skip
    columns = [say(f"column.{name}") for name in ("job", "kind", "subject", "state", "progress", "created", "took")]
    SCREEN.show(grid(columns, rows, whole=(0, 3, 4, 5, 6)))


def show(job_id: JobId, json: JsonFlag = False) -> None:
    """See `help.job_show`."""
    with connect() as hanlin:
        job = hanlin.jobs.get(job_id)
    if json:
        SCREEN.document(job.model_dump(mode="json"))
        return
    _print(job)


def wait(
    job_id: JobId,
    timeout: Annotated[float | None, typer.Option("--timeout", help=say("option.timeout"), min=0.1)] = None,
    json: JsonFlag = False,
) -> None:
    """See `help.job_wait`."""
    with connect() as hanlin:
        job = wait_for(hanlin, hanlin.jobs.get(job_id), timeout_s=timeout)
    if json:
        SCREEN.document(job.model_dump(mode="json"))
    else:
        _print(job)
        tell_next(job)


def logs(job_id: JobId, json: JsonFlag = False) -> None:
    """See `help.job_logs`."""
    with connect() as hanlin:
        text = hanlin.jobs.logs(job_id)
    if json:
        SCREEN.document({"id": job_id, "logs": text})
    else:
        SCREEN.line(text.rstrip("\n"))


def cancel(job_id: JobId, json: JsonFlag = False) -> None:
    """See `help.job_cancel`."""
    with connect() as hanlin:
        job = hanlin.jobs.cancel(job_id)
    if json:
        SCREEN.document(job.model_dump(mode="json"))
    else:
        SCREEN.line(say(f"job.{CANCELLED.get(job.state, job.state)}", job=job.id))


def _print(job: Job) -> None:
    from hanlin.client.job_flows import job_error

    about = [
        (say("column.job"), job.id), (say("column.kind"), name_of("job_kind", job.kind)), (say("column.state"), _state(job)),
        (say("column.took"), _took(job)),
    ]  # fmt: skip
    SCREEN.show(grid(["", ""], about))
    _section("request", _facts(job.config))
    _section("options", [(name, _option(value)) for name, value in pairs(part(job.config, "options")) if value is not None])
    _section("progress", [("", _progress(job))] if _progress(job) else [])
    if job.state == "failed":
        error, language = job_error(job), terminal_language()
        facts = [(say("column.error"), cell(error.text(language), "red")), (say("column.next"), error.advice(language))]
        _section("result", [(name, value) for name, value in facts if str(value)])
        return
    _section("result", _facts(job.result))
    if job.kind == "evaluate" and job.result:
        show_model.metrics(part(job.result, "metrics"), ())


def _section(name: str, facts: list[tuple[str, object]]) -> None:
    """Facts under a heading of their own: request and result may name the same thing, and mean another."""
    if facts:
        SCREEN.show(cell(say(f"column.{name}"), "bold"), grid(["", ""], facts))


def _facts(found: object) -> list[tuple[str, object]]:
    """Names and values, those with an inside left out."""
    return [
        (name_of("field", name), _value(name, value))
        for name, value in pairs(found)
        if value is not None and not isinstance(value, dict | list)
    ]


def _option(value: object) -> str:
    """An option's value as it is written to `--set`."""
    return value if isinstance(value, str) else json_module.dumps(value, ensure_ascii=False)


def _state(job: Job) -> Text:
    return cell(name_of("state", job.state), STYLES.get(job.state, ""))


def _value(name: str, value: object) -> str:
    if isinstance(value, bool):
        return say("value.true" if value else "value.false")
    return name_of(name, words(value)) if name in {"target", "state"} else words(value)


def _progress(job: Job, limit: int = 6) -> str:
    if job.progress is None:
        return ""
    is_told = bool(job.progress.total) and job.state != "succeeded"  # what succeeded is done, whatever it told last
    share = f"{100 * job.progress.step / job.progress.total:.0f} %" if is_told else ""
    return f"{share} {figures(job.progress.metrics, limit)}".strip()


def _took(job: Job) -> str:
    if job.started_at is None or job.ended_at is None:
        return ""
    seconds = (job.ended_at - job.started_at).total_seconds()
    if seconds < 60:
        return say("took.seconds", seconds=f"{seconds:.1f}")
    return say("took.minutes", minutes=int(seconds // 60), seconds=f"{int(seconds % 60):02d}")
