"""What a report warns of, in the reader's language, below the figures it qualifies."""

from __future__ import annotations

from collections.abc import Collection

from hanlin.cli.screen import SCREEN, cell
from hanlin.cli.shape import items, part
from hanlin.cli.words import say
from hanlin.messages import terminal_language
from hanlin.messages.said import Said


def show_warnings(report: object, *, without: Collection[str] = ()) -> None:
    """One yellow line for each warning of a report, but those whose code is in `without`."""
    gap = "" if terminal_language() == "zh" else " "
    for said in map(Said.from_json, items(part(report, "warnings"))):
        if said is not None and said.code not in without:
            SCREEN.show(cell(f"{say('screen.warning')}{gap}{said.text(terminal_language())}", "yellow"))
