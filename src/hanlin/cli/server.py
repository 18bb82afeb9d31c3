"""`hanlin up` and `hanlin demo`: the only commands that run the server; they load it when called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hanlin.cli.options import add_command
from hanlin.cli.words import say
from hanlin.errors import InvalidInput

Home = Annotated[Path | None, typer.Option("--home", help=say("option.home"), metavar="DIR", file_okay=False)]
Port = Annotated[int | None, typer.Option("--port", help=say("option.port"), min=0, max=65535)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    add_command(app, "up", up, "help.up")
    add_command(app, "demo", demo, "help.demo")


def up(  # noqa: PLR0917  # Typer passes them by name
    home: Home = None,
    host: Annotated[str | None, typer.Option("--host", help=say("option.host"))] = None,
    port: Port = None,
    grpc_port: Annotated[int | None, typer.Option("--grpc-port", help=say("option.grpc_port"), min=-1, max=65535)] = None,
    gateways: Annotated[int | None, typer.Option("--gateways", help=say("option.gateways"), min=1, max=64)] = None,
    threads: Annotated[int | None, typer.Option("--threads", help=say("option.threads"), min=0, max=256)] = None,
    log_level: Annotated[str | None, typer.Option("--log-level", help=say("option.log_level"))] = None,
) -> None:
    """See `help.up`."""
    from hanlin.settings import load_settings

    settings = load_settings(home=home, host=host, port=port, grpc_port=grpc_port, gateways=gateways, threads=threads, log_level=log_level)
    try:
        from hanlin.app import up as serve
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    raise typer.Exit(serve(settings))


def demo(
    home: Home = None,
    port: Port = None,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help=say("option.serve"))] = True,
    ci: Annotated[bool, typer.Option("--ci", help=say("option.ci"))] = False,
) -> None:
    """See `help.demo`."""
    from hanlin import demo as story

    try:
        status = story.run(home, port=port, serve=serve and not ci, is_fresh=ci and home is None)
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    raise typer.Exit(status)


def _missing(error: ModuleNotFoundError) -> Exception:
    """The install line when a library of the server is absent; our own modules' absence is a bug and stays one."""
    if (error.name or "").partition(".")[0] == "hanlin":
        return error
    return InvalidInput("missing_extra", feature="hanlin up", extra="server")
