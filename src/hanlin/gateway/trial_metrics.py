"""Trials in the Prometheus text form: both versions side by side, as the judge sees them. No gateway counts them, so no label names one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from hanlin.serving.latency import EDGES_S
from hanlin.serving.trial_figures import Figures

_EVERY = 4  # a bucket here is as many of the judge's: each edge is 2.4 times the one before
_EDGES_S = [round(edge, 6) for edge in EDGES_S[_EVERY - 1 :: _EVERY]]
_LABELS = ["endpoint", "role", "side", "version", "variant"]


class TrialMetrics(Collector):
    """The figures of one scrape."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        yield from self._sides()
        drift = GaugeMetricFamily("hanlin_trial_label_drift", "Share of rows whose label differs", labels=["endpoint", "role"])
        weight = GaugeMetricFamily("hanlin_trial_weight", "Percent of the calls that a trial gets", labels=["endpoint", "role"])
        for one in self._figures.trials:
            drift.add_metric([one.endpoint, one.role], one.label_drift)
            weight.add_metric([one.endpoint, one.role], one.weight)
        ended = CounterMetricFamily("hanlin_trials_taken_back", "Trials that the judge ended", labels=["endpoint", "role", "reason"])
        for end in self._figures.taken_back:
            ended.add_metric([end.endpoint, end.role, end.reason], end.count)
        yield from (drift, weight, ended)

    def _sides(self) -> Iterable[Metric]:
        calls = CounterMetricFamily("hanlin_trial_calls", "Calls answered or failed since the trial began", labels=_LABELS)
        failed = CounterMetricFamily("hanlin_trial_failed", "Those that failed", labels=_LABELS)
        deaths = CounterMetricFamily("hanlin_trial_deaths", "Workers that ended since the trial began", labels=_LABELS)
        seconds = HistogramMetricFamily("hanlin_trial_seconds", "Time of answered calls in the worker", labels=_LABELS)
        rows = CounterMetricFamily("hanlin_trial_rows", "Answered rows by their best label", labels=[*_LABELS, "label"])
        for one in self._figures.trials:
            for name, side in (("trial", one.trial), ("live", one.live)):
                labels = [one.endpoint, one.role, name, side.version, side.variant]
                calls.add_metric(labels, sum(side.latency) + side.failed)
                failed.add_metric(labels, side.failed)
                deaths.add_metric(labels, side.deaths)
                seconds.add_metric(labels, _buckets(side.latency), sum_value=None)
                for label, count in side.labels.items():
                    rows.add_metric([*labels, label], count)
        yield from (calls, failed, deaths, seconds, rows)


def _buckets(latency: tuple[int, ...]) -> list[tuple[str, float]]:
    """Cumulative counts by their edges in seconds."""
    counts = [float(count) for count in accumulate(latency)]
    found = list(zip(map(str, _EDGES_S), counts[_EVERY - 1 :: _EVERY], strict=False))
    return [*found, ("+Inf", counts[-1] if counts else 0.0)]
