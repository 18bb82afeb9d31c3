"""Options that many commands share, and the connection they make."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hanlin.cli.help_pages import Command, Group
from hanlin.cli.screen import SCREEN
from hanlin.cli.words import say
from hanlin.errors import InvalidInput, NotReady, Unauthenticated
from hanlin.messages import terminal_language
from hanlin.types import JsonObject, shorten

if TYPE_CHECKING:
    from hanlin.client import Hanlin

_MAX_OBJECT_BYTES = 2**20


def _remember_json(value: bool) -> bool:
    SCREEN.is_json = value
    return value


JsonFlag = Annotated[bool, typer.Option("--json", help=say("option.json"), callback=_remember_json, is_eager=True)]
EndpointName = Annotated[str, typer.Argument(help=say("option.endpoint"))]
Task = Annotated[str, typer.Option("--task", help=say("option.task"), metavar="TASK")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help=say("option.wait"))]
Publish = Annotated[bool, typer.Option("--publish/--no-publish", help=say("option.publish"))]
Force = Annotated[bool, typer.Option("--force", help=say("option.force"))]
TaskModel = Annotated[str | None, typer.Option("--task-model", help=say("option.task_model"), metavar="MODEL[:N]")]
TaskDataset = Annotated[str | None, typer.Option("--task-dataset", help=say("option.task_dataset"), metavar="NAME[:N]")]
TaskRows = Annotated[int | None, typer.Option("--task-rows", help=say("option.task_rows"), min=1, max=10_000)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help=say("option.yes"))]


def connect(timeout_s: float = 60.0) -> Hanlin:
    """The SDK as the environment says, answering in the language in force.

    Raises:
        Unauthenticated: `key_missing`.
        NotReady: `server_unreachable` where no server of this machine runs whose key could be missing.
    """
    from hanlin.client import Hanlin
    from hanlin.client.connection import find_url, is_answering, is_loopback

    try:
        return Hanlin(timeout=timeout_s, language=terminal_language())
    except Unauthenticated as error:
        if error.code != "key_missing" or not is_loopback(url := find_url()) or is_answering(url):
            raise
        raise NotReady("server_unreachable", url=url) from error


def add_command(app: typer.Typer, name: str, function: Callable[..., None], words: str) -> None:
    """Add `function` as command `name`, its help from the words."""
    app.command(name, cls=Command, help=say(words), short_help=say(words))(function)


def group(app: typer.Typer, name: str) -> typer.Typer:
    """A sub-application called `name`, its help from the words."""
    found = typer.Typer(
        name=name, cls=Group, help=say(f"help.{name}"), short_help=say(f"help.{name}"), no_args_is_help=True, rich_markup_mode=None
    )
    app.add_typer(found)
    return found


def named_values(pairs: list[str]) -> JsonObject:
    """`NAME=VALUE` words; a value that is JSON is taken as such, anything else as text. Raises InvalidInput (`option_not_pair`)."""
    found: JsonObject = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark or not name:
            raise InvalidInput("option_not_pair", text=shorten(pair))
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def read_object(text: str, *, otherwise: str) -> JsonObject:
    """An object as JSON, or from a JSON or TOML file. Raises InvalidInput (`otherwise`)."""
    try:
        if text.lstrip().startswith("{"):
            found = json.loads(text)
        else:
            path = Path(text)
            if path.stat().st_size > _MAX_OBJECT_BYTES:
                raise ValueError
            content = path.read_text(encoding="utf-8")
            found = tomllib.loads(content) if path.suffix.lower() == ".toml" else json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(otherwise, given=shorten(text, 200)) from error
    if not isinstance(found, dict):
        raise InvalidInput(otherwise, given=shorten(text, 200))
    return found
