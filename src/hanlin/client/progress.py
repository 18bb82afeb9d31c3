"""How far a long `map` is, told to whoever wants to know: a function, a bar of the caller's, or one of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable


@runtime_checkable
class Bar(Protocol):
    """What tqdm's bars are, and anything else with this method."""

    def update(self, n: int) -> object:
        """So many more are done."""
        ...


OnProgress = Callable[[int, int | None], None]  # (rows done, rows in all where that is known)


class Teller:
    """Tells of progress.

    Args:
        to: True for a bar on standard error; a function, or something like tqdm's bar.
    """

    def __init__(self, to: bool | OnProgress | Bar | None, total: int | None, title: str) -> None:
        self._done = 0
        self._total = total
        self._close: Callable[[], None] = lambda: None
        self._tell: Callable[[int], object] = lambda _: None
        if to is True:
            self._tell, self._close = _rich_bar(total, title)
        elif isinstance(to, Bar):
            self._tell = to.update
        elif callable(to):
            function = to
            self._tell = lambda _: function(self._done, self._total)

    def add(self, rows: int) -> None:
        """So many more rows have been handed out."""
        self._done += rows
        self._tell(rows)

    def close(self) -> None:
        """No more comes."""
        self._close()


def _rich_bar(total: int | None, title: str) -> tuple[Callable[[int], object], Callable[[], None]]:
    """A bar with rate and time left, on standard error. Imported here: a script without a bar does not pay for it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True))
    task = bar.add_task(title, total=total, rate="")
    bar.start()

    def tell(rows: int) -> None:
        bar.advance(task, rows)
        speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
        bar.update(task, rate=f"{speed:,.0f}/s" if speed else "")

    return tell, bar.stop
