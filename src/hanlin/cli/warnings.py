"""What a report warns of, in the reader's language, below the figures it qualifies."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from hanlin.cli.screen import SCREEN, cell
from hanlin.cli.shape import items, part
from hanlin.cli.words import say
from hanlin.messages import terminal_language
from hanlin.messages.said import Said

if TYPE_CHECKING:
    from hanlin.client import Warned


def show_warnings(report: object, *, without: Collection[str] = ()) -> None:
    """One yellow line for each warning of a report, but those whose code is in `without`."""
    for said in map(Said.from_json, items(part(report, "warnings"))):
        if said is not None and said.code not in without:
            SCREEN.show(cell(_line(said.text(terminal_language())), "yellow"))


def tell_warnings(warnings: Iterable[Warned]) -> None:
    """One line on stderr for each warning of an answer; under `--json` the document holds them."""
    for warned in () if SCREEN.is_json else warnings:
        SCREEN.note(_line(warned.message))


def _line(words: str) -> str:
    return f"{say('screen.warning')}{'' if terminal_language() == 'zh' else ' '}{words}"
