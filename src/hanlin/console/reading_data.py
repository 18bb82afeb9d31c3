"""The stored report of a dataset version as the values of `views_data.py`. Whatever is absent or odd is left out, never an error."""

from __future__ import annotations

from collections.abc import Sequence

from hanlin.console.reading import child, objects, read_warnings, text, whole
from hanlin.console.reading_check import read_check
from hanlin.console.views import VersionView
from hanlin.console.views_data import SPLITS, DatasetVersionView, Found, LabelRows, Place
from hanlin.registry.values import DatasetVersion
from hanlin.types import JsonObject, JsonValue

FOUND = ("duplicates", "conflicts", "leaks", "bad_rows")
LENGTHS = ("p5", "p50", "p95", "p99", "max")
_FACTS = ("format", "encoding", "language", "split")


def read_dataset_version(item: DatasetVersion, trained: Sequence[VersionView]) -> DatasetVersionView:
    """One snapshot with what ingesting found in it."""
    report = item.report
    lengths, rows = child(report, "lengths"), child(report, "rows")
    splits = tuple(count for name in SPLITS if (count := whole(rows, name)) is not None)
    found = (_found(kind, report.get(kind)) for kind in FOUND)
    return DatasetVersionView(
        name=item.name,
        number=item.number,
        task=item.task,
        digest=item.digest,
        created_at=item.created_at,
        rows_kept=whole(report, "rows_kept"),
        rows_read=whole(report, "rows_read"),
        splits=splits if len(splits) == len(SPLITS) else (),
        labels=_labels(child(report, "labels")),
        lengths=tuple((name, value) for name in LENGTHS if (value := whole(lengths, name)) is not None),
        found=tuple(one for one in found if one.total),
        conflict_rows=whole(report, "conflict_rows") or 0,
        moved=whole(report, "moved") or 0,
        facts=tuple((name, fact) for name in _FACTS if (fact := text(report, name))),
        warnings=read_warnings(report),
        trained=tuple(trained),
        check=read_check(item.check),
    )


def _labels(counts: JsonObject) -> tuple[LabelRows, ...]:
    rows = (LabelRows(label, _counts(child(counts, label))) for label in counts)
    return tuple(sorted(rows, key=lambda item: (-item.total, item.label)))


def _counts(count: JsonObject) -> tuple[int, int, int]:
    train, validation, test = (whole(count, name) or 0 for name in SPLITS)
    return train, validation, test


def _found(kind: str, value: JsonValue) -> Found:
    """A number itself, or the total beside the first places."""
    if not isinstance(value, dict):
        return Found(kind, whole({kind: value}, kind) or 0)
    return Found(kind, whole(value, "total") or 0, tuple(_place(row) for row in objects(value.get("first"))))


def _place(row: JsonObject) -> Place:
    twin = child(row, "twin")
    beside = Place(text(twin, "file"), whole(twin, "line") or 0, text(row, "twin_split")) if twin else None
    problem = (("en", text(row, "problem")), ("zh", text(row, "problem_zh") or text(row, "problem")))
    return Place(text(row, "file"), whole(row, "line") or 0, text(row, "split"), beside, problem)
