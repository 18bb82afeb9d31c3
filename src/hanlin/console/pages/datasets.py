"""Datasets, their versions, and what reading them found."""

from __future__ import annotations

from starlette.responses import Response

from hanlin.console.views_data import LabelRows
from hanlin.console.visits import Visit
from hanlin.errors import NotFound
from hanlin.types import is_name

SHOWN_LABELS = 40
Bar = tuple[LabelRows, float, list[tuple[float, float]]]


async def show_list(visit: Visit) -> Response:
    """All datasets with their newest version."""
    return visit.render("datasets.html.jinja", datasets=await visit.ask(visit.site.port.list_datasets))


async def show_dataset(visit: Visit) -> Response:
    """One dataset and the list of its versions."""
    return visit.render("dataset.html.jinja", dataset=await visit.ask(visit.site.port.get_dataset, _name(visit)))


async def show_version(visit: Visit) -> Response:
    """One snapshot: rows, labels, lengths, what was wrong, and what was trained on it."""
    dataset = await visit.ask(visit.site.port.get_dataset, _name(visit))
    number = int(visit.request.path_params["version"])
    version = next((item for item in dataset.versions if item.number == number), None)
    if version is None:
        raise NotFound("console_page_missing")
    return visit.render("dataset_version.html.jinja", dataset=dataset, version=version, bars=stack(version.labels))


def stack(labels: tuple[LabelRows, ...]) -> list[Bar]:
    """(label, its share of all rows, [(start, width) of each split]): bars in percents of the longest, which comes first."""
    whole, longest = sum(item.total for item in labels) or 1, max((item.total for item in labels), default=0) or 1
    return [(item, item.total / whole, _parts(item, longest)) for item in labels[:SHOWN_LABELS]]


def _parts(item: LabelRows, longest: int) -> list[tuple[float, float]]:
    starts = (sum(item.rows[:place]) for place in range(len(item.rows)))
    return [(100 * start / longest, 100 * rows / longest) for start, rows in zip(starts, item.rows, strict=True)]


def _name(visit: Visit) -> str:
    name = str(visit.request.path_params["dataset"])
    if not is_name(name):
        raise NotFound("console_page_missing")
    return name
