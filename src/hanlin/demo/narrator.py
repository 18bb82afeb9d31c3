"""The demo's voice: numbered steps with their time, findings, progress bars, tables. Knows nothing of what is told."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

LINE_EVERY_S = 30.0
_PLAIN_WIDTH = 120
_WIDEST = 1000


class Narrator:
    """Tells the story on one terminal, in one language."""

    def __init__(self, language: str, *, steps: int) -> None:
        self.language = language
        self.console = Console(highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, soft_wrap=True, width=_PLAIN_WIDTH)  # rich takes 80 for a pipe: too narrow for a table
        self._words: Mapping[str, str] = tomllib.loads((resources.files(__package__) / "words.toml").read_text("utf-8"))[language]
        self._steps = steps
        self._step = 0
        self._started = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the story began."""
        return time.monotonic() - self._started

    def word(self, key: str, **values: object) -> str:
        """The text of `key` with its placeholders filled."""
        return self._words[key].format_map(values)

    @contextmanager
    def step(self, key: str, **values: object) -> Iterator[None]:
        """A numbered step; says how long it took when it ends well."""
        self._step += 1
        self.console.print(f"\n[bold]{self._step:>2}/{self._steps}  {self.word(key, **values)}[/bold]")
        began = time.monotonic()
        yield
        self.console.print(f"       [green]✓[/green] [dim]{time.monotonic() - began:.1f} s[/dim]")

    def found(self, key: str, **values: object) -> None:
        """One finding of the current step."""
        self.say(self.word(key, **values))

    def say(self, text: str) -> None:
        """One indented line."""
        self.console.print(f"       {text}", soft_wrap=True, markup=False)

    @contextmanager
    def bar(self, done: int = 0, total: int | None = None) -> Iterator[ProgressBar | ProgressLines]:
        """A progress bar with time left and live metrics, from `done` on; a line now and then where there is no terminal."""
        if not self.console.is_terminal:
            yield ProgressLines(self)
            return
        columns = (
            TextColumn("      "), SpinnerColumn(), BarColumn(bar_width=32), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("·"), TimeRemainingColumn(), TextColumn("{task.fields[live]}"),
        )  # fmt: skip
        with Progress(*columns, console=self.console, transient=True) as progress:
            bar = ProgressBar(progress)
            bar.update(done, total)
            yield bar

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, strong: int | None = None, spare: Sequence[int] = ()
    ) -> None:  # fmt: skip
        """A table; row `strong` is emphasised. Of the columns `spare`, the first are left out where the terminal is too narrow for all."""
        for num_left_out in range(len(spare) + 1):
            places = [place for place in range(len(columns)) if place not in spare[:num_left_out]]
            table = Table(title=title, title_justify="left", header_style="dim", box=None, padding=(0, 2, 0, 0))
            for place in places:
                table.add_column(columns[place], justify="left" if place in {0, len(columns) - 1} else "right", no_wrap=True)
            for index, row in enumerate(rows):
                table.add_row(*(row[place] for place in places), style="bold green" if index == strong else None)
            if self.console.measure(table, options=self.console.options.update(max_width=_WIDEST)).maximum <= self.console.width:
                break
        self.console.print(table)


class ProgressBar:
    """One bar fed by a job's progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, live="")

    def update(self, done: int, total: int | None, live: str = "") -> None:
        """Moves the bar to `done` of `total`; None is an unknown total."""
        self._progress.update(self._task, completed=done, total=total, live=live)


class ProgressLines:
    """The same in plain lines, for a file or a pipe: one every `LINE_EVERY_S`, with the time left at the pace since the first of them."""

    def __init__(self, narrator: Narrator, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._narrator = narrator
        self._clock = clock
        self._told_s = clock()
        self._first: tuple[float, int] | None = None  # what came before it was start and replay

    def update(self, done: int, total: int | None, live: str = "") -> None:
        """Takes `done` of `total`, and says it when it is time."""
        now_s = self._clock()
        if now_s - self._told_s < LINE_EVERY_S:
            return
        self._told_s = now_s
        self._first = self._first or (now_s, done)
        first_s, first = self._first
        words = self._narrator.word("progress", done=done, total=total or "?")
        if total:
            words += self._narrator.word("progress_share", percent=100 * done // total)
            if done > first:
                words += self._narrator.word("progress_left", seconds=round((total - done) * (now_s - first_s) / (done - first)))
        self._narrator.say(f"{words}  {live}".rstrip())
