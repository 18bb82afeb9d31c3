"""Where output goes: one JSON document or tables for people on stdout, progress and notes on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text


_PIPED_COLUMNS = 400  # tables are as wide as what they hold: whoever reads them is a program, or a file


class Screen:
    """The terminal of this process. `is_json` is set by the `--json` option of the running command."""

    def __init__(self) -> None:
        self.is_json = False

    def document(self, value: object) -> None:
        """Write the one JSON document of this run."""
        print(json.dumps(value, ensure_ascii=not _is_unicode(), indent=2))

    def show(self, *items: RenderableType) -> None:
        """Write for people, on stdout."""
        console = self.console()
        for item in items:
            console.print(item)

    def line(self, text: str) -> None:
        """Write one plain line on stdout, unwrapped, foreign control characters removed."""
        print(clean(text))

    def note(self, text: str) -> None:
        """Write one plain line on stderr."""
        print(clean(text), file=sys.stderr)

    def console(self, *, is_error: bool = False) -> Console:
        """A rich console; no markup is read from data."""
        from rich.console import Console

        width = None if (sys.stderr if is_error else sys.stdout).isatty() else _PIPED_COLUMNS
        return Console(stderr=is_error, highlight=False, markup=False, emoji=False, width=width)


SCREEN = Screen()


def clean(text: str) -> str:
    """`text` without control characters, so that data cannot steer the terminal; newlines and tabs stay."""
    return "".join(character if character.isprintable() or character in "\n\t" else "\ufffd" for character in text)


def cell(text: object, style: str = "") -> Text:
    """A table cell of foreign text."""
    from rich.text import Text

    return Text(clean("" if text is None else str(text)), style=style)


def grid(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    right: Sequence[int] = (),
    whole: Sequence[int] = (),
) -> RenderableType:
    """A table; cells that are not renderable yet become text. `right`: columns aligned right; `whole`: those never folded."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_header=any(columns))
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index in right else "left", overflow="fold", no_wrap=index in whole)
    for row in rows:
        table.add_row(*(value if isinstance(value, Text) else cell(value) for value in row))
    return table


def _is_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") in ("utf8", "gb18030")
