"""Help pages whose headings and marks, which the parser writes, are in the language in force too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from typer.core import TyperCommand, TyperGroup

from hanlin.cli.words import table
from hanlin.messages import terminal_language

if TYPE_CHECKING:
    from typer._click.core import Context

_HEADS = ("head.usage", "head.arguments", "head.options", "head.commands")
_USAGE = ("head.some_options", "head.some_command", "head.some_arguments")
_PHRASES = ("head.required", "head.default", "head.help", "head.install", "head.completion")
_KINDS = ("head.text", "head.texts", "head.file", "head.whole", "head.limited", "head.number", "head.limited_number")


class Command(TyperCommand):
    """A command."""

    def get_help(self, ctx: Context) -> str:
        """Its help page."""
        return in_language(super().get_help(ctx))


class Group(TyperGroup):
    """A group of commands."""

    def get_help(self, ctx: Context) -> str:
        """Its help page."""
        return in_language(super().get_help(ctx))


def in_language(page: str) -> str:
    """A help page of the parser's with its own words in the language in force; ours are in it already."""
    if terminal_language() != "zh":
        return page
    for key in _HEADS:
        english, chinese = table()[key]
        page = re.sub(rf"^{english}", chinese, page, flags=re.MULTILINE)
    usage, mark, rest = page.partition("\n\n")
    for key in _USAGE:
        english, chinese = table()[key]
        usage = usage.replace(english, chinese)
    page = usage + mark + rest
    for key in _PHRASES:
        english, chinese = table()[key]
        page = re.sub(r"\s+".join(map(re.escape, english.split())), chinese, page)  # the parser breaks lines
    for key in _KINDS:
        english, chinese = table()[key]
        page = page.replace(english, chinese + " " * (len(english) - 2 * len(chinese)))  # columns stay: each of its characters is two wide
    return page
