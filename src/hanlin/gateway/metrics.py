"""The gateways' own counters, and the workers' as they report them, in the Prometheus text form. Any gateway answers for all."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from hanlin.gateway.dataplane import Outcome
from hanlin.gateway.peers import Counted, Sample
from hanlin.gateway.response_cache import ResponseCache
from hanlin.gateway.trial_metrics import TrialMetrics
from hanlin.serving.router import Router
from hanlin.serving.trial_figures import Figures
from hanlin.serving.wire import ReplicaInfo

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LABELS = ["endpoint", "version", "variant", "replica"]


@dataclass(slots=True)
class _Series:
    """Requests of one method, route and status; `times` counts by the buckets of `_SECONDS`, longer ones last."""

    count: int = 0
    total_s: float = 0.0
    times: list[int] = field(default_factory=lambda: [0] * (len(_SECONDS) + 1))


class GatewayMetrics(Collector):
    """Counts requests of one gateway process. Plain numbers of one event loop: the library's own counters take a lock for each.

    Attributes:
        stream_ends: answers told in parts, by how they ended; read when asked.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._series: dict[tuple[str, str, int], _Series] = {}
        self._inflight = 0
        self.stream_ends: Mapping[str, int] = {}
        self.registry.register(self)

    def begin(self) -> None:
        """A request has come."""
        self._inflight += 1

    def end(self, method: str, route: str, status: int, seconds: float) -> None:
        """It has ended."""
        self._inflight -= 1
        series = self._series.get((method, route, status))
        if series is None:
            series = self._series[method, route, status] = _Series()
        series.count += 1
        series.total_s += seconds
        series.times[bisect_left(_SECONDS, seconds)] += 1

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        requests = CounterMetricFamily("hanlin_requests", "Requests answered", labels=["method", "route", "status"])
        seconds = HistogramMetricFamily("hanlin_request_seconds", "Time to answer", labels=["route"])
        for (method, route, status), series in self._series.items():
            requests.add_metric([method, route, str(status)], series.count)
        for route in dict.fromkeys(route for _, route, _ in self._series):
            same = [series for (_, other, _), series in self._series.items() if other == route]
            counts = accumulate(map(sum, zip(*(series.times for series in same), strict=True)))
            edges = [*map(floatToGoString, _SECONDS), "+Inf"]
            seconds.add_metric([route], list(zip(edges, counts, strict=True)), sum(series.total_s for series in same))
        yield requests
        yield seconds
        streams = CounterMetricFamily("hanlin_streams", "Answers told in parts, by how they ended", labels=["end"])
        for end, count in self.stream_ends.items():
            streams.add_metric([end], count)
        yield streams
        yield GaugeMetricFamily("hanlin_requests_in_flight", "Requests being answered", value=self._inflight)

    def counted(self, router: Router, cache: ResponseCache[Outcome]) -> tuple[Counted, ...]:
        """What this gateway has counted, for whichever gateway is asked."""
        lost = CounterMetricFamily("hanlin_worker_connections_lost", "Workers that went away", value=router.deaths_total)
        retries = CounterMetricFamily("hanlin_retries", "Calls sent again because a worker went away", value=router.retries_total)
        spared = CounterMetricFamily("hanlin_canary_spared", "Calls that a canary failed and others answered", value=router.spared_total)
        copies = CounterMetricFamily("hanlin_shadow_copies", "Copies of calls sent to shadows", value=router.mirror.sent_total)
        dropped = CounterMetricFamily("hanlin_shadow_dropped", "Copies that shadows had no room for", value=router.mirror.dropped_total)
        metrics = [*self.registry.collect(), lost, retries, spared, copies, dropped, *_Cache(cache).collect()]
        return tuple(
            Counted(
                metric.name, metric.documentation, metric.type, tuple(Sample(one.name, one.labels, one.value) for one in metric.samples)
            )
            for metric in metrics
        )

    async def render(
        self, router: Router, cache: ResponseCache[Outcome], *, index: int = 0, others: Mapping[int, Sequence[Counted]] | None = None,
        trials: Figures | None = None,
    ) -> bytes:  # fmt: skip
        """Everything, workers asked now.

        Args:
            index: which gateway this is.
            others: what the other gateways have counted, by their index.
            trials: what trials have done, as the reconciler tells.
        """
        scrape = CollectorRegistry()
        scrape.register(_Gateways({index: self.counted(router, cache), **(others or {})}))
        scrape.register(_Workers(await router.reports()))
        scrape.register(TrialMetrics(trials or Figures()))
        return generate_latest(scrape)


class _Gateways(Collector):
    """What the gateways counted, told apart by a label: a counter that begins anew after a death does so in its own series."""

    def __init__(self, counted: Mapping[int, Sequence[Counted]]) -> None:
        self._counted = counted

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        families: dict[str, Metric] = {}
        for index, found in sorted(self._counted.items()):
            for one in found:
                family = families.setdefault(one.name, Metric(one.name, one.words, one.kind))
                for sample in one.samples:
                    family.add_sample(sample.name, {**sample.labels, "gateway": str(index)}, sample.value)
        yield from families.values()


class _Workers(Collector):
    """Worker reports as metrics."""

    def __init__(self, reports: Sequence[tuple[str, ReplicaInfo, dict[str, float]]]) -> None:
        self._reports = reports

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for number, (key, info, values) in enumerate(self._reports):
            for name, value in values.items():
                if name not in families:
                    families[name] = _family(name)
                families[name].add_metric([key, info.version, info.variant, str(number)], value)
        yield from families.values()


class _Cache(Collector):
    """The answers this gateway keeps."""

    def __init__(self, cache: ResponseCache[Outcome]) -> None:
        self._cache = cache

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        hits = CounterMetricFamily("hanlin_response_cache_hits", "Calls answered by a kept answer", labels=["endpoint"])
        misses = CounterMetricFamily("hanlin_response_cache_misses", "Calls whose answer was not kept", labels=["endpoint"])
        for endpoint, lookups in self._cache.lookups.items():
            hits.add_metric([endpoint], lookups.hits)
            misses.add_metric([endpoint], lookups.misses)
        yield from (hits, misses)
        yield GaugeMetricFamily("hanlin_response_cache_bytes", "Memory of the kept answers", value=self._cache.size_bytes)
        yield GaugeMetricFamily("hanlin_response_cache_entries", "Answers kept", value=self._cache.num_entries)
        yield CounterMetricFamily("hanlin_response_cache_evictions", "Answers given up for others", value=self._cache.evictions_total)


def _family(name: str) -> CounterMetricFamily | GaugeMetricFamily:
    words = name.removesuffix("_total").replace("_", " ")
    if name.endswith("_total"):
        return CounterMetricFamily(f"hanlin_worker_{name.removesuffix('_total')}", f"Worker: {words}", labels=_LABELS)
    return GaugeMetricFamily(f"hanlin_worker_{name}", f"Worker: {words}", labels=_LABELS)
