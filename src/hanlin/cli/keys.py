"""`hanlin key …`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from hanlin.cli.options import JsonFlag, add_command, connect, group
from hanlin.cli.screen import SCREEN, grid
from hanlin.cli.shape import moment
from hanlin.cli.words import say
from hanlin.errors import InvalidInput
from hanlin.types import shorten, utc_now

_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class ScopeName(StrEnum):
    """What a key may do."""

    PREDICT = "predict"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    key = group(app, "key")
    add_command(key, "create", create, "help.key_create")
    add_command(key, "list", list_, "help.key_list")
    add_command(key, "revoke", revoke, "help.key_revoke")


def create(
    name: Annotated[str, typer.Option("--name", help=say("option.key_name"))],
    scope: Annotated[list[ScopeName] | None, typer.Option("--scope", help=say("option.scope"))] = None,
    expires: Annotated[str | None, typer.Option("--expires", help=say("option.expires"), metavar="30d|DATE")] = None,
    json: JsonFlag = False,
) -> None:
    """See `help.key_create`."""
    until = expiry(expires, utc_now()) if expires else None
    with connect() as hanlin:
        key = hanlin.keys.create(name, [item.value for item in scope or [ScopeName.PREDICT]], expires_at=until)
    if json:
        SCREEN.document(key.model_dump(mode="json"))
        return
    SCREEN.note(say("key.once"))
    SCREEN.line(key.secret or "")


def list_(json: JsonFlag = False) -> None:
    """See `help.key_list`."""
    with connect() as hanlin:
        found = hanlin.keys.list()
    if json:
        SCREEN.document([key.model_dump(mode="json", exclude={"secret"}) for key in found])
        return
    rows = [
        (key.id, key.name, " ".join(key.scopes), moment(key.created_at), moment(key.expires_at), moment(key.revoked_at)) for key in found
    ]
    SCREEN.show(grid([say(f"column.{name}") for name in ("id", "name", "scopes", "created", "expires", "revoked")], rows))


def revoke(key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help=say("option.key_id"))], json: JsonFlag = False) -> None:
    """See `help.key_revoke`."""
    with connect() as hanlin:
        hanlin.keys.revoke(key_id)
    if json:
        SCREEN.document({"id": key_id, "state": "revoked"})
    else:
        SCREEN.line(say("key.revoked", key=key_id))


def expiry(text: str, now: datetime) -> datetime:
    """`90m`, `12h`, `30d`, `4w`, or an ISO date or time (UTC where it names no zone). Raises InvalidInput (`invalid_expiry`)."""
    if match := _SPAN.fullmatch(text):
        return now + int(match[1]) * _UNITS[match[2]]
    try:
        moment_ = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput("invalid_expiry", text=shorten(text)) from None
    moment_ = moment_ if moment_.tzinfo else moment_.replace(tzinfo=UTC)
    if moment_ <= now:
        raise InvalidInput("invalid_expiry", text=shorten(text))
    return moment_
