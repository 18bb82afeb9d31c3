"""Stored JSON (metrics, evidence, certificates) as the values of `views.py`. Whatever is absent or odd becomes None, never an error."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from hanlin.console.views import CertificateView, CurveView, EndpointSettings, LabelScores, MetricsView, SideView, TrialView, VariantView
from hanlin.console.words import LANGUAGES
from hanlin.control.values import DeploymentView, EndpointView
from hanlin.messages.figures import figure_with_interval, measured
from hanlin.messages.said import Said
from hanlin.messages.task_words import asked_words, certified_words, task_figure
from hanlin.types import JsonObject, JsonValue

MAIN_METRIC = "accuracy"
_APART = frozenset({"macro_f1", "micro_f1", "ece"})  # shown in places of their own, or not at all
_MAX_VALUE = 200  # characters of one line of lineage


def child(data: JsonObject, name: str) -> JsonObject:
    """The object called `name`; empty when there is none."""
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def real(data: JsonObject, *names: str) -> float | None:
    """The first finite number among `names`."""
    for name in names:
        value = data.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return None


def first_real(parts: Sequence[JsonObject], name: str) -> float | None:
    """The first finite number called `name` in any of them."""
    return next((found for part in parts if (found := real(part, name)) is not None), None)


def whole(data: JsonObject, *names: str) -> int | None:
    """The first number among `names`, as an integer."""
    value = real(data, *names)
    return None if value is None else int(value)


def text(data: JsonObject, name: str) -> str:
    """The text called `name`; empty when there is none."""
    value = data.get(name)
    return value if isinstance(value, str) else ""


def read_metrics(data: JsonObject, figures: Sequence[str] = ()) -> MetricsView | None:
    """The stored evaluation; None when the version was never measured.

    Args:
        figures: names of the task's figures, the main one first; the first that was measured stands for the version.
    """
    found = child(data, "test") or data
    of_task = [(name, value) for name in dict.fromkeys((*figures, MAIN_METRIC)) if (value := real(found, name)) is not None]
    if not of_task:
        return None
    name, value = of_task[0]
    scores = tuple(_label_scores(item) for item in objects(found.get("per_class")))
    confusion = _matrix(found.get("confusion"), len(scores))
    more = tuple((other, known) for other, known in dict(of_task + measured(found)).items() if other not in {name, *_APART})
    between = _interval(found.get("interval")) if name == figure_with_interval(found) else None
    return MetricsView(name, value, between, real(found, "macro_f1"), real(found, "ece"), scores, confusion, more)


def read_variant(name: str, evidence: JsonObject, *, is_chosen: bool, size_bytes: int | None) -> VariantView:
    """One variant with its measured evidence, as the compression report stores it."""
    validation, test, latency = child(evidence, "validation"), child(evidence, "test"), child(evidence, "latency_ms")
    return VariantView(
        variant=name,
        is_chosen=is_chosen,
        status=text(evidence, "status") or "ok",
        reason=Said.from_json(evidence.get("said")),
        validation=real(validation, "metric", MAIN_METRIC),
        drop_points=real(validation, "drop_points"),
        test=real(test, "metric", MAIN_METRIC),
        p50_ms=real(latency, "p50"),
        p99_ms=real(latency, "p99"),
        rows_per_s=real(evidence, "throughput_rows_s"),
        memory_bytes=whole(evidence, "memory_bytes"),
        size_bytes=whole(evidence, "size_bytes") or size_bytes,
        perplexity=real(evidence, "perplexity"),
        mean_difference=real(evidence, "mean_score_difference"),
        greedy_agreement=real(evidence, "greedy_agreement"),
        task=task_figure(evidence.get("task")),
    )


def read_asked(report: JsonObject) -> dict[str, str]:
    """What a compression asked besides, by language; empty where it asked nothing."""
    return _by_language(asked_words, report.get("task"))


def _by_language(told: Callable[[object, str], str], task: JsonValue) -> dict[str, str]:
    return {language: words for language in LANGUAGES if (words := told(task, language))}


def read_certificate(variant: str, report: JsonObject, *, is_passed: bool, created_at: datetime) -> CertificateView:
    """The record of a replay."""
    return CertificateView(
        variant=variant,
        is_passed=is_passed,
        created_at=created_at,
        rows=whole(report, "rows"),
        agreement=real(report, "label_agreement"),
        agreement_interval=_interval(report.get("label_agreement_interval")),
        max_difference=real(report, "max_score_difference"),
        mean_difference=real(report, "mean_score_difference"),
        tolerance=real(child(report, "tolerance"), "max_score_difference"),
        is_agreement_only=report.get("is_agreement_only") is True,
        perplexity=real(report, "perplexity"),
        trained_perplexity=real(report, "trained_perplexity"),
        accuracy=real(report, "accuracy"),
        trained_accuracy=real(report, "trained_accuracy"),
        greedy_agreement=real(report, "greedy_agreement"),
        task=_by_language(certified_words, report.get("task")),
    )


def read_lineage(lineage: JsonObject) -> tuple[tuple[str, str], ...]:
    """What a version comes from, line by line; the full configuration is in the card and the job."""
    return tuple((name, str(value)[:_MAX_VALUE]) for name, value in lineage.items() if isinstance(value, str | int | float) and value != "")


def read_warnings(*reports: JsonObject) -> tuple[Said, ...]:
    """What stored reports warn of; what two of them say is told once."""
    found = (Said.from_json(item) for report in reports for item in objects(report.get("warnings")))
    return tuple({said.code: said for said in found if said is not None}.values())


def read_curve(lineage: JsonObject) -> CurveView | None:
    """How the curve of a training relates to what came of it; None for what was not trained here."""
    training, config = child(lineage, "training"), child(lineage, "config")
    if not training:
        return None
    network, whole_ = real(training, "network_best"), real(training, "best")
    is_widened = config.get("wide") is True and (network is None or network != whole_)  # equal: the road did not help and was left out
    return CurveView(is_widened, text(config, "metric"), network, whole_)


def read_figures(metrics: Mapping[str, JsonValue]) -> tuple[tuple[str, float], ...]:
    """The finite numbers among a job's metrics."""
    found = ((name, real({name: value}, name)) for name, value in metrics.items())
    return tuple((name, value) for name, value in found if value is not None)


def _label_scores(item: JsonObject) -> LabelScores:
    values = [real(item, name) or 0.0 for name in ("precision", "recall", "f1")]
    return LabelScores(text(item, "label"), values[0], values[1], values[2], whole(item, "support") or 0)


def objects(value: JsonValue) -> list[JsonObject]:
    """The objects of a list; empty when it is none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _interval(value: JsonValue) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    low, high = (real({"bound": item}, "bound") for item in value)
    return None if low is None or high is None else (low, high)


def _matrix(value: JsonValue, width: int) -> tuple[tuple[int, ...], ...]:
    """Counts, gold by predicted; empty unless it is square and as wide as there are labels."""
    rows = [row for row in value if isinstance(row, list)] if isinstance(value, list) else []
    found = tuple(tuple(item for item in row if isinstance(item, int)) for row in rows)
    return found if found and len(found) == width and all(len(row) == width for row in found) else ()


def read_settings(item: EndpointView) -> EndpointSettings:
    """What an endpoint is told about itself; where its model lives stands in the deployment that is wanted."""
    wanted = item.wanted
    return EndpointSettings(
        wanted.isolation, wanted.replicas, wanted.max_replicas, int(wanted.idle_s), item.long_text, item.cache_ttl_s
    )  # fmt: skip


def read_trial(item: DeploymentView) -> TrialView:
    """A version on trial and, once there are any, the figures of both sides."""
    reason = {language: item.reason_in(language) for language in LANGUAGES} if item.reason else {}
    stats = item.stats or {}
    sides = tuple(_side(child(stats, name), is_tried=name == "trial") for name in ("trial", "live") if stats)
    return TrialView(item.role, item.weight, item.model, item.version, item.variant, item.state, reason, sides)


def _side(figures: JsonObject, *, is_tried: bool) -> SideView:
    labels = sorted(read_figures(child(figures, "labels")), key=lambda pair: -pair[1])
    calls, failed = whole(figures, "calls") or 0, whole(figures, "failed") or 0
    return SideView(is_tried, calls, failed, real(figures, "p50_ms"), real(figures, "p95_ms"), tuple(labels))
