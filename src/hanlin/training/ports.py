"""What training asks of its surroundings: a place to report to, a place for checkpoints, rows of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from hanlin.messages.said import Plain, Said


class Progress(Protocol):
    """Where a long run reports. Calls are cheap and come often; the implementation thins them out."""

    def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        """`step` of `total` is done."""
        ...

    def message(self, code: str, /, **params: Plain | Said) -> None:
        """A line for people, by its code in the catalogue."""
        ...

    def check_cancelled(self) -> None:
        """Raises Cancelled when the run shall end."""
        ...


@runtime_checkable
class Watches(Protocol):
    """A `Progress` that goes by the figure which the run watches: a course may settle it by its rows."""

    def watch(self, metric: str) -> None:
        """Called once, before the first step: `loss`, or a name among the figures of each evaluation."""
        ...


class Checkpoints(Protocol):
    """Complete snapshots of a run, the newest last."""

    def save(self, step: int, write: Callable[[Path], None]) -> None:
        """Let `write` fill an empty folder, then publish it atomically as the newest checkpoint."""
        ...

    def latest(self) -> Path | None:
        """The folder of the newest complete checkpoint."""
        ...


class Rows(Protocol):
    """Labelled texts; `datasets.Split` is one."""

    @property
    def texts(self) -> Sequence[str]:
        """The texts."""
        ...

    @property
    def labels(self) -> Sequence[str]:
        """Their labels, as long as `texts`."""
        ...


class Silent:
    """A Progress that tells nobody."""

    def report(self, step: int, total: int, metrics: Mapping[str, float]) -> None:
        """Nothing happens."""

    def message(self, code: str, /, **params: Plain | Said) -> None:
        """Nothing happens."""

    def check_cancelled(self) -> None:
        """Never cancelled."""
