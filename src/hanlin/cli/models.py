"""`hanlin model …`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hanlin.cli import show_model
from hanlin.cli.confirming import confirm_deletion
from hanlin.cli.options import JsonFlag, Publish, Task, TaskDataset, TaskModel, TaskRows, Wait, Yes, add_command, connect, group
from hanlin.cli.screen import SCREEN, grid
from hanlin.cli.shape import moment, pairs, part
from hanlin.cli.waiting import see_through, uploading
from hanlin.cli.warnings import tell_warnings
from hanlin.cli.words import listed, name_of, say
from hanlin.errors import InvalidInput
from hanlin.messages.figures import measured
from hanlin.types import JsonObject, ModelRef

Reference = Annotated[str, typer.Argument(help=say("option.model"), metavar="MODEL")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    model = group(app, "model")
    add_command(model, "import", import_, "help.model_import")
    add_command(model, "list", list_, "help.model_list")
    add_command(model, "show", show, "help.model_show")
    add_command(model, "certify", certify, "help.model_certify")
    add_command(model, "publish", publish, "help.model_publish")
    add_command(model, "promote", promote, "help.model_promote")
    add_command(model, "demote", demote, "help.model_demote")
    add_command(model, "card", card, "help.model_card")
    add_command(model, "notes", notes, "help.model_notes")
    add_command(model, "export", export, "help.model_export")
    add_command(model, "delete", delete, "help.model_delete")


def import_(  # noqa: PLR0917  # Typer passes them by name
    name: Annotated[str, typer.Argument(help=say("option.model_name"))],
    source: Annotated[str, typer.Argument(metavar="DIR|FILE.gguf|hf:ORG/NAME", help=say("option.model_folder"))],
    task: Task = "text-classification",
    rows: Annotated[str | None, typer.Option("--rows", help=say("option.rows"), metavar="DATASET[:N]")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help=say("option.output_label"))] = None,
    base: Annotated[str | None, typer.Option("--base", help=say("option.adapter_base"), metavar="MODEL")] = None,
    publish_: Publish = True,
    wait: Wait = True,
    json: JsonFlag = False,
) -> None:
    """See `help.model_import`."""
    with connect() as hanlin:
        with uploading(Path(source)) as bar:
            job = hanlin.models.add(name, source, task=task, rows=rows, labels=label or None, base=base, publish=publish_, on_bytes=bar)
        if ended := see_through(hanlin, job, wait=wait, json=json):
            show_model.result(hanlin, ended)


def list_(json: JsonFlag = False) -> None:
    """See `help.model_list`."""
    with connect() as hanlin:
        found = hanlin.models.list()
    if json:
        SCREEN.document([model.model_dump(mode="json") for model in found])
        return
    rows = []
    for model in found:
        aliases = {number: alias for alias, number in model.aliases.items()}
        if not model.versions:
            rows.append((model.name, "", say("model.empty"), "", "", ""))
        for version in model.versions:
            chosen = next((variant.variant for variant in version.variants if variant.is_chosen), "")
            test = part(version.metrics, "test")
            figures = measured(dict(pairs(test if isinstance(test, dict) else version.metrics)))
            quality = show_model.figure_words(*figures[0]) if figures else ""
            alias = f"@{aliases[version.number]}" if version.number in aliases else ""
            state = name_of("state", version.state)
            if any(one.variant == chosen and one.is_passed and show_model.is_agreement_only(one) for one in version.certificates):
                state = say("certificate.agreement", state=state)
            rows.append((f"{model.name}:{version.number}", alias, state, quality, chosen, moment(version.created_at)))
    columns = [say(f"column.{name}") for name in ("model", "alias", "state", "quality", "chosen", "created")]
    SCREEN.show(grid(columns, rows, right=(3,), whole=(3, 5)))


def show(reference: Reference, json: JsonFlag = False) -> None:
    """See `help.model_show`."""
    parsed = ModelRef.parse(reference)
    with connect() as hanlin:
        model = hanlin.models.get(parsed.name)
    if json:
        SCREEN.document(model.model_dump(mode="json"))
        return
    if not model.versions and str(parsed) == model.name:
        SCREEN.line(f"{model.name} · {model.task} · {say('model.empty')}")
        return
    show_model.show(model, model.version(parsed))
    if len(model.versions) > 1:
        others = listed(f":{version.number} {name_of('state', version.state)}" for version in model.versions)
        SCREEN.line(say("model.versions", versions=others))


def certify(  # noqa: PLR0917  # Typer passes them by name
    reference: Reference,
    variant: Annotated[str | None, typer.Option("--variant", help=say("option.variant_certify"))] = None,
    rows: Annotated[str | None, typer.Option("--rows", help=say("option.rows_certify"), metavar="DATASET[:N]")] = None,
    task_model: TaskModel = None,
    task_dataset: TaskDataset = None,
    task_rows: TaskRows = None,
    wait: Wait = True,
    json: JsonFlag = False,
) -> None:
    """See `help.model_certify`."""
    asked: JsonObject = {
        "model": reference, "variant": variant, "dataset": rows, "task_model": task_model, "task_dataset": task_dataset,
        "task_rows": task_rows,
    }  # fmt: skip
    with connect() as hanlin:
        job = hanlin.jobs.submit("certify", {name: value for name, value in asked.items() if value is not None})
        if ended := see_through(hanlin, job, wait=wait, json=json):
            show_model.result(hanlin, ended)


def publish(reference: Reference, json: JsonFlag = False) -> None:
    """See `help.model_publish`."""
    parsed = ModelRef.parse(reference)
    with connect() as hanlin:
        model = hanlin.models.get(parsed.name)
        waiting = [version for version in model.versions if version.state != "published"]
        newest = max(waiting, key=lambda version: (version.state == "certified", version.number), default=None)
        version = newest if newest and parsed.version is None and parsed.alias is None else model.version(parsed)
        hanlin.models.publish(model.name, version.number)
    _done(json, say("model.published", model=f"{model.name}:{version.number}"), name=model.name, version=version.number, state="published")


def promote(reference: Reference, alias: Annotated[str, typer.Argument(help=say("option.alias"))], json: JsonFlag = False) -> None:
    """See `help.model_promote`."""
    parsed = ModelRef.parse(reference)
    with connect() as hanlin:
        version = hanlin.models.get(parsed.name).version(parsed)
        moved = hanlin.models.promote(parsed.name, alias, version.number)
    tell_warnings(moved.warnings)
    said = say("model.promoted", model=f"{parsed.name}:{version.number}", alias=f"{parsed.name}@{alias}")
    warnings = [item.model_dump(mode="json") for item in moved.warnings]
    _done(json, said, name=parsed.name, version=version.number, alias=alias, warnings=warnings)


def demote(
    name: Annotated[str, typer.Argument(help=say("option.model_name"))],
    alias: Annotated[str, typer.Argument(help=say("option.alias"))],
    json: JsonFlag = False,
) -> None:
    """See `help.model_demote`."""
    with connect() as hanlin:
        hanlin.models.demote(name, alias)
    _done(json, say("model.demoted", alias=f"{name}@{alias}"), name=name, alias=alias, state="deleted")


def card(reference: Reference, json: JsonFlag = False) -> None:
    """See `help.model_card`."""
    parsed = ModelRef.parse(reference)
    with connect() as hanlin:
        version = hanlin.models.get(parsed.name).version(parsed)
        text = hanlin.models.card(parsed.name, version.number)
    if json:
        SCREEN.document({"name": parsed.name, "version": version.number, "card": text})
    elif sys.stdout.isatty():
        from rich.markdown import Markdown

        from hanlin.cli.screen import clean

        SCREEN.show(Markdown(clean(text)))
    else:
        SCREEN.line(text)


def notes(
    name: Annotated[str, typer.Argument(help=say("option.model_name"))],
    text: Annotated[str, typer.Argument(help=say("option.notes"))],
    json: JsonFlag = False,
) -> None:
    """See `help.model_notes`."""
    words = sys.stdin.read() if text == "-" else text
    with connect() as hanlin:
        hanlin.models.set_notes(name, words)
    _done(json, say("model.noted", model=name), name=name, notes=words)


def export(
    reference: Reference, folder: Annotated[Path, typer.Argument(metavar="DIR", help=say("option.export_folder"))], json: JsonFlag = False
) -> None:
    """See `help.model_export`."""
    parsed = ModelRef.parse(reference)
    if folder.exists() and not folder.is_dir():
        raise InvalidInput("not_a_folder", path=str(folder))
    with connect() as hanlin:
        version = hanlin.models.get(parsed.name).version(parsed)
        files = hanlin.models.files(parsed.name, version.number)
        with uploading(folder) as bar:
            done, total = 0, sum(file.size_bytes for file in files)
            for file in files:
                hanlin.blobs.download(file, folder / file.path)
                done += file.size_bytes
                bar(done, total)
    said = say("model.exported", model=f"{parsed.name}:{version.number}", files=len(files), folder=str(folder))
    _done(json, said, name=parsed.name, version=version.number, folder=str(folder), files=len(files))


def delete(
    reference: Annotated[str, typer.Argument(metavar="NAME[:N]", help=say("option.model_to_delete"))],
    yes: Yes = False,
    json: JsonFlag = False,
) -> None:
    """See `help.model_delete`."""
    parsed = ModelRef.parse(reference)
    if parsed.alias is not None:
        raise InvalidInput("version_not_named", reference=reference)
    confirm_deletion(str(parsed), is_whole=parsed.version is None, yes=yes, json=json)
    with connect() as hanlin:
        hanlin.models.delete(parsed.name, parsed.version)
    _done(json, say("model.deleted", model=str(parsed)), name=parsed.name, version=parsed.version, state="deleted")


def _done(json: bool, said: str, **document: object) -> None:
    if json:
        SCREEN.document(document)
    else:
        SCREEN.line(said)
