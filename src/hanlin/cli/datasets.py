"""`hanlin dataset …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hanlin.cli import corpora, show_check, show_dataset
from hanlin.cli.confirming import confirm_deletion
from hanlin.cli.options import JsonFlag, Task, Wait, Yes, add_command, connect, group
from hanlin.cli.screen import SCREEN, grid
from hanlin.cli.shape import figure, moment, number, part, words
from hanlin.cli.waiting import see_through, uploading, wait_for
from hanlin.cli.words import say
from hanlin.errors import InvalidInput
from hanlin.types import JsonObject, is_name, shorten


def register(app: typer.Typer) -> None:
    """Add the commands."""
    dataset = group(app, "dataset")
    add_command(dataset, "add", add, "help.dataset_add")
    add_command(dataset, "list", list_, "help.dataset_list")
    add_command(dataset, "show", show, "help.dataset_show")
    add_command(dataset, "check", check, "help.dataset_check")
    add_command(dataset, "delete", delete, "help.dataset_delete")
    add_command(dataset, "sample", corpora.sample, "help.dataset_sample")


def add(  # noqa: PLR0917  # Typer passes them by name
    name: Annotated[str, typer.Argument(help=say("option.dataset_name"))],
    source: Annotated[Path, typer.Argument(metavar="FILE", help=say("option.dataset_file"))],
    task: Task = "text-classification",
    text: Annotated[str | None, typer.Option("--text", help=say("option.text"), metavar="COLUMN")] = None,
    label: Annotated[str | None, typer.Option("--label", help=say("option.label"), metavar="COLUMN")] = None,
    columns: Annotated[str | None, typer.Option("--columns", help=say("option.columns"), metavar="COLUMN=HEADER,…")] = None,
    separator: Annotated[str | None, typer.Option("--separator", help=say("option.separator"), metavar="SIGN")] = None,
    format: Annotated[str | None, typer.Option("--format", help=say("option.format"))] = None,  # noqa: A002  # the option's own name
    encoding: Annotated[str | None, typer.Option("--encoding", help=say("option.encoding"))] = None,
    bad_bytes: Annotated[str | None, typer.Option("--bad-bytes", metavar="refuse|skip", help=say("option.bad_bytes"))] = None,
    split: Annotated[str | None, typer.Option("--split", help=say("option.split"))] = None,
    leaks: Annotated[str | None, typer.Option("--leaks", metavar="report|move", help=say("option.leaks"))] = None,
    wait: Wait = True,
    json: JsonFlag = False,
) -> None:
    """See `help.dataset_add`."""
    given: JsonObject = {
        "text": text, "label": label, "columns": columns, "format": format, "encoding": encoding, "bad_bytes": bad_bytes, "split": split,
        "leaks": leaks, "separator": separator,
    }  # fmt: skip
    options: JsonObject = {key: value for key, value in given.items() if value is not None}
    with connect() as hanlin:
        with uploading(source) as bar:
            job = hanlin.datasets.add(name, source, task=task, options=options, on_bytes=bar)
        ended = see_through(hanlin, job, wait=wait, json=json)
        if ended and part(ended.result, "reused"):
            SCREEN.line(say("dataset.unchanged", dataset=f"{name}:{words(part(ended.result, 'version'))}"))
        elif ended:
            show_dataset.show(hanlin.datasets.get(name))


def list_(json: JsonFlag = False) -> None:
    """See `help.dataset_list`."""
    with connect() as hanlin:
        found = hanlin.datasets.list()
    if json:
        SCREEN.document([item.model_dump(mode="json") for item in found])
        return
    newest = [(item, item.versions[0] if item.versions else None) for item in found]
    rows = [
        (item.name, item.task, last and last.number, last and figure(last.rows), last and moment(last.created_at)) for item, last in newest
    ]
    columns = [say(f"column.{name}") for name in ("name", "task", "version", "rows", "created")]
    SCREEN.show(grid(columns, rows, right=(2, 3)))


def show(name: Annotated[str, typer.Argument(help=say("option.dataset_name"))], json: JsonFlag = False) -> None:
    """See `help.dataset_show`."""
    plain, wanted = _parts(name)
    with connect() as hanlin:
        found = hanlin.datasets.get(plain)
    if json:
        SCREEN.document(found.model_dump(mode="json"))
        return
    if not found.versions and wanted is None:
        SCREEN.line(f"{found.name} · {found.task} · {say('model.empty')}")
        return
    show_dataset.show(found, wanted)


def check(
    reference: Annotated[str, typer.Argument(metavar="NAME[:N]", help=say("option.dataset_checked"))],
    model: Annotated[str | None, typer.Option("--model", help=say("option.check_model"), metavar="MODEL")] = None,
    likeness: Annotated[float, typer.Option("--likeness", help=say("option.likeness"), min=0.5, max=1)] = 0.7,
    wait: Wait = True,
    json: JsonFlag = False,
) -> None:
    """See `help.dataset_check`."""
    name, _ = _parts(reference)
    with connect() as hanlin:
        job = hanlin.datasets.check(reference, model=model, likeness=likeness)
        if not wait:
            see_through(hanlin, job, wait=False, json=json)
            return
        ended = wait_for(hanlin, job)
        found = hanlin.datasets.found(name, int(number(part(ended.result, "version")) or 0))
    if json:
        SCREEN.document(found.model_dump(mode="json"))
    else:
        show_check.show(found)


def delete(
    reference: Annotated[str, typer.Argument(metavar="NAME[:N]", help=say("option.dataset_reference"))],
    force: Annotated[bool, typer.Option("--force", help=say("option.force_delete"))] = False,
    yes: Yes = False,
    json: JsonFlag = False,
) -> None:
    """See `help.dataset_delete`."""
    name, version = _parts(reference)
    confirm_deletion(reference, is_whole=version is None, yes=yes, json=json)
    with connect() as hanlin:
        hanlin.datasets.delete(name, version, force=force)
    if json:
        SCREEN.document({"name": name, "version": version, "state": "deleted"})
    else:
        SCREEN.line(say("model.deleted", model=reference))


def _parts(reference: str) -> tuple[str, int | None]:
    """`NAME[:N]` in its parts. Raises InvalidInput (`invalid_dataset_reference`)."""
    name, mark, number = reference.partition(":")
    if not is_name(name) or (mark and not (number.isascii() and number.isdecimal() and len(number) < 10)):
        raise InvalidInput("invalid_dataset_reference", reference=shorten(reference))
    return name, int(number) if mark else None
