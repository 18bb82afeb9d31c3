"""A dataset's report as tables for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hanlin.cli.screen import SCREEN, cell, grid
from hanlin.cli.shape import figure, items, moment, number, pairs, part, words
from hanlin.cli.warnings import show_warnings
from hanlin.cli.words import listed, say
from hanlin.errors import NotFound
from hanlin.messages import terminal_language

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hanlin.client import Dataset, DatasetVersion

SPLITS = ("train", "validation", "test")
MAX_PLACES = 3
PROBLEMS = ("duplicates", "conflicts", "leaks")
LENGTHS = ("p5", "p50", "p95", "p99", "max")


def show(dataset: Dataset, wanted: int | None = None) -> None:
    """Print one version, the newest unless `wanted`. Raises NotFound (`version_missing`)."""
    version = next((item for item in dataset.versions if wanted in (None, item.number)), None)
    if version is None:
        raise NotFound("version_missing", reference=f"{dataset.name}:{wanted or 1}")
    report = version.report
    SCREEN.show(
        cell(f"{dataset.name}:{version.number}", "bold"),
        *facts(dataset, version),
        counts(report.get("labels")) if report.get("labels") else splits(report.get("rows")),
    )
    if (lengths := part(report, "lengths")) is not None:
        SCREEN.show(grid([say("column.length"), *LENGTHS], [["", *(figure(part(lengths, name)) for name in LENGTHS)]], right=range(1, 6)))
    show_warnings(report)
    bad = part(report, "bad_rows")
    if number(part(bad, "total")):
        said = "problem_zh" if terminal_language() == "zh" else "problem"
        rows = [
            (words(part(row, "file")), words(part(row, "line")), words(part(row, said) or part(row, "problem")))
            for row in items(part(bad, "first"))
        ]
        title = say("dataset.bad_rows", total=figure(part(bad, "total")))
        SCREEN.show(grid([say("column.file"), say("column.line"), say("column.problem")], rows, title=title, right=(1,)))


def facts(dataset: Dataset, version: DatasetVersion) -> Iterable[RenderableType]:
    """The lines above the tables."""
    report = version.report
    kept, read = figure(report.get("rows_kept", version.rows)), figure(report.get("rows_read", version.rows))
    yield cell(say("dataset.rows", kept=kept, read=read))
    if isinstance(columns := part(report, "columns"), dict) and columns:
        taken = [say("dataset.column", column=name, header=words(header)) for name, header in columns.items()]
        yield cell(say("dataset.columns", columns=listed(taken)))
    for name in PROBLEMS:
        if total := _total(report.get(name)):
            places = [
                f"{words(part(row, 'file'))}:{words(part(row, 'line'))}" for row in items(part(report.get(name), "first"))[:MAX_PLACES]
            ]
            told = f"{say(f'dataset.{name}')} {figure(total)}" + (f" ({listed([*places, '…'])})" if places else "")
            dropped = report.get("conflict_rows") if name == "conflicts" else None
            yield cell(listed([told, say("dataset.conflict_rows", rows=figure(dropped))]) if dropped else told, "yellow")
    about = [dataset.task, words(report.get("encoding")), words(report.get("language")), moment(version.created_at), version.digest[:12]]
    yield cell(" · ".join(item for item in about if item), "dim")


def _total(value: object) -> object:
    """How many there are: a number itself, or the total beside the first examples."""
    return value if number(value) is not None else part(value, "total")


def splits(rows: object) -> RenderableType:
    """Rows by split, where they have no labels to be counted by."""
    total = sum(number(part(rows, split)) or 0 for split in SPLITS) or 1
    body = [
        (
            say(f"column.{split}"),
            figure(part(rows, split)),
            f"{100 * (count := number(part(rows, split)) or 0) / total:.1f} %",
            "█" * round(20 * count / total),
        )
        for split in SPLITS
    ]
    return grid([say("column.split"), say("column.rows"), say("column.share"), ""], body, right=(1, 2))


def counts(labels: object) -> RenderableType:
    """Rows by label and split, with a share bar."""
    sums = {label: sum(number(part(count, split)) or 0 for split in SPLITS) or number(count) or 0 for label, count in pairs(labels)}
    total, largest = sum(sums.values()) or 1, max(sums.values(), default=1) or 1
    rows = [
        (
            label,
            *(figure(part(count, split)) for split in SPLITS),
            f"{100 * sums[label] / total:.1f} %",
            "█" * round(20 * sums[label] / largest),
        )
        for label, count in pairs(labels)
    ]
    columns = [say("column.label"), *(say(f"column.{split}") for split in SPLITS), say("column.share"), ""]
    return grid(columns, rows, right=(1, 2, 3, 4))
