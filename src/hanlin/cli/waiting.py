"""Waiting for a job: a live bar with figures on a terminal, sparse lines elsewhere. All of it on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import typer

from hanlin.cli.screen import SCREEN, clean
from hanlin.cli.words import headed, name_of, say

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress

    from hanlin.client import Hanlin, Job, JobEvent

LINE_EVERY_S = 10.0


class View(Protocol):
    """Shows a job's events."""

    def event(self, event: JobEvent) -> None:
        """Show one event."""
        ...


def wait_for(hanlin: Hanlin, job: Job, *, timeout_s: float | None = None) -> Job:
    """The job after its good end. Raises the job's own error; Ctrl-C leaves it running and says so."""
    try:
        with _view(say(f"kind.{job.kind}") if job.kind in KINDS else job.kind) as view:
            return hanlin.jobs.wait(job.id, timeout=timeout_s, on_event=view.event)
    except KeyboardInterrupt:
        SCREEN.note("\n" + say("wait.batch_goes_on" if job.kind == "batch" else "wait.goes_on", job=job.id))
        raise typer.Exit(130) from None


def see_through(hanlin: Hanlin, job: Job, *, wait: bool, json: bool) -> Job | None:
    """Waits for a job, unless told not to. The job where its end is to be shown in words; None when all is said. Raises as `wait_for`."""
    if wait:
        job = wait_for(hanlin, job)
    if json:
        SCREEN.document(job.model_dump(mode="json"))
        return None
    if not wait:
        SCREEN.line(say("wait.queued", job=job.id))
        return None
    return job


KINDS = ("ingest", "check", "train", "tune", "fine-tune", "evaluate", "compress", "import", "certify", "batch")


@contextmanager
def uploading(source: Path) -> Iterator[_UploadBar]:
    """A bar for an upload; call it with (bytes done, bytes in all)."""
    if not sys.stderr.isatty():
        yield _UploadBar(None)
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=SCREEN.console(is_error=True), transient=True) as progress:
        yield _UploadBar(progress, clean(say("wait.upload", name=source.name)))


class _UploadBar:
    def __init__(self, progress: Progress | None, title: str = "") -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None) if progress else None

    def __call__(self, done: int, total: int) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total)


@contextmanager
def _view(title: str) -> Iterator[View]:
    if not sys.stderr.isatty():
        yield _Lines(title)
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), TaskProgressColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), TextColumn("{task.fields[figures]}", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=SCREEN.console(is_error=True)) as progress:
        yield _Bar(progress, title)


class _Bar:
    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None, figures="")

    def event(self, event: JobEvent) -> None:
        for line in event.message.splitlines():
            self._progress.console.print("  " + clean(line), style="dim")
        if event.kind == "progress":
            self._progress.update(self._task, completed=event.step, total=event.total or None, figures=figures(event.metrics))


class _Lines:
    """One line for a message, for each tenth of the way, and at least every few seconds of progress."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._tenth = -1
        self._shown_at = float("-inf")
        SCREEN.note(headed(title, say("wait.waits")))

    def event(self, event: JobEvent) -> None:
        for line in event.message.splitlines():
            SCREEN.note(headed(self._title, line))
        if event.kind != "progress":
            return
        tenth = 10 * event.step // event.total if event.total else 0
        if tenth != self._tenth or time.monotonic() - self._shown_at > LINE_EVERY_S:
            self._tenth, self._shown_at = tenth, time.monotonic()
            of = f"/{event.total}" if event.total else ""
            SCREEN.note(headed(self._title, f"{event.step}{of} {figures(event.metrics)}".rstrip()))


def figures(metrics: Mapping[str, float], limit: int = 6) -> str:
    """Live figures in one line: losses and qualities first, then rates."""
    names = sorted(metrics, key=lambda name: not any(word in name for word in ("loss", "accuracy", "f1")))
    return "  ".join(f"{clean(name_of('metric', name))} {_number(metrics[name])}" for name in names[:limit])


def _number(value: float) -> str:
    """Four digits, and never a power of ten for what people count."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e12 else f"{value:.4g}"
