"""What reports and certificates tell people of a task that was asked besides. What is absent or odd is left out, never an error."""

from __future__ import annotations

from collections.abc import Mapping

from hanlin.messages.figures import figure_name, figure_value
from hanlin.messages.said import Said


def task_figure(task: object) -> tuple[str, float, float] | None:
    """Name of the figure, its value in 0..1 and the points lost, of a variant's stored part."""
    found = task if isinstance(task, Mapping) else {}
    metric, value, lost = found.get("metric"), _number(found.get("value")), _number(found.get("drop_points"))
    return (metric, value, lost) if isinstance(metric, str) and value is not None and lost is not None else None


def asked_words(task: object, language: str) -> str:
    """What a compression asked."""
    if not isinstance(task, Mapping):
        return ""
    budget = _number(task.get("budget"))
    told = Said("task_asked" if budget is None else "task_asked_within", _names(task, language) | {"budget": f"{budget or 0:g}"})
    return told.text(language)


def certified_words(task: object, language: str) -> str:
    """What a certificate found."""
    figure, found = task_figure(task), task if isinstance(task, Mapping) else {}
    if figure is None:
        return ""
    metric, value, _ = figure
    trained, ends = _number(found.get("trained_value")), [_number(end) for end in found.get("interval") or ()]
    if trained is None or len(ends) != 2 or None in ends:
        return ""
    low, high = (figure_value(metric, end) for end in ends if end is not None)
    figures: dict[str, str | int | float] = {
        "value": figure_value(metric, value),
        "low": low,
        "high": high,
        "trained": figure_value(metric, trained),
    }
    return Said("task_certified", _names(found, language) | figures).text(language)


def _names(task: Mapping[str, object], language: str) -> dict[str, str | int | float]:
    names = {name: str(task.get(name, "?"))[:200] for name in ("task", "model", "dataset", "rows")}
    return {**names, "metric": figure_name(str(task.get("metric", "?")), language=language)}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
