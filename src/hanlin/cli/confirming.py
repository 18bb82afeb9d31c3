"""Asking before something is deleted. Where nobody can answer, nothing is deleted without `--yes`."""

from __future__ import annotations

import sys

import typer

from hanlin.cli.words import say
from hanlin.errors import InvalidInput
from hanlin.types import shorten


def confirm_deletion(subject: str, *, is_whole: bool, yes: bool, json: bool) -> None:
    """Returns when `subject` shall be deleted; ends the command when the answer is no.

    Args:
        is_whole: it goes with all its versions.
        yes: it was said already.
        json: a program reads what is printed, so it is not asked.

    Raises:
        InvalidInput: `deletion_unconfirmed` where there is nobody to ask.
    """
    if yes:
        return
    if json or not sys.stdin.isatty():
        raise InvalidInput("deletion_unconfirmed", subject=shorten(subject))
    typer.confirm(say("model.confirm_delete_all" if is_whole else "model.confirm_delete", model=subject), abort=True)
