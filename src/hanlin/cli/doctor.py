"""`hanlin doctor`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from hanlin.cli.options import JsonFlag, add_command
from hanlin.cli.screen import SCREEN, cell, grid
from hanlin.cli.words import say
from hanlin.home import home_folder, settled

SIGNS = {"ok": ("✓", "green"), "note": ("·", "yellow"), "problem": ("✗", "red")}


def register(app: typer.Typer) -> None:
    """Add the command."""
    add_command(app, "doctor", doctor, "help.doctor")


def doctor(
    home: Annotated[Path | None, typer.Option("--home", help=say("option.home"), metavar="DIR", file_okay=False)] = None,
    json: JsonFlag = False,
) -> None:
    """See `help.doctor`."""
    from hanlin.cli.checks import all_findings

    findings = list(all_findings(settled(home) if home else home_folder(os.environ)))
    problems = [item for item in findings if item.status == "problem"]
    if json:
        SCREEN.document({"is_well": not problems, "findings": [item.to_json() for item in findings]})
    else:
        rows = [(cell(*SIGNS[item.status]), item.name, item.value, cell(item.advice, "dim")) for item in findings]
        SCREEN.show(grid(["", say("column.check"), say("column.found"), say("column.advice")], rows))
        SCREEN.line(say("doctor.well") if not problems else say("doctor.problems", count=len(problems)))
    raise typer.Exit(1 if problems else 0)
