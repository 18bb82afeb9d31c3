"""The command tree. Each file of commands adds its own; nothing else is listed here."""

from __future__ import annotations

from typing import Annotated

import typer

from hanlin import __version__
from hanlin.cli import (
    batch,
    bench,
    chat,
    compress,
    datasets,
    doctor,
    endpoints,
    jobs,
    keys,
    models,
    predict,
    pretrain,
    server,
    training,
    tune,
)
from hanlin.cli.help_pages import Group
from hanlin.cli.words import say


def build() -> typer.Typer:
    """The whole application, in the language in force."""
    app = typer.Typer(
        name="hanlin", cls=Group, help=say("help.app"), no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip
    app.callback()(_root)
    for part in (server, doctor, datasets, pretrain, training, tune, compress, models, endpoints, predict, chat, batch, bench, keys, jobs):
        part.register(app)
    return app


def _show_version(value: bool) -> None:
    if value:
        print(f"hanlin {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[bool, typer.Option("--version", help=say("option.version"), callback=_show_version, is_eager=True)] = False,
) -> None:
    """Everything is said by `help.app`."""
