"""The metrics of a server, in Prometheus' form. One `Metrics` per process; nothing is global, so tests stay apart.

Labels have few values by construction: endpoint, status class, lane, state. Never a key, a text or a request id.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75)


class Metrics:
    """Every collector of the platform. Times in seconds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("hanlin_requests", "Answered calls", "endpoint", "status")
        self.items = self._counter("hanlin_items", "Texts in answered calls", "endpoint")
        self.latency = self._histogram("hanlin_request_seconds", "Time from head to last byte", _SECONDS, "endpoint")
        self.stage = self._histogram("hanlin_stage_seconds", "Time of one stage: queue, encode, engine", _SECONDS, "endpoint", "stage")
        self.in_flight = self._gauge("hanlin_requests_in_flight", "Calls being worked on")
        self.refused = self._counter("hanlin_requests_refused", "Calls refused before any work", "reason")
        self.queue_tokens = self._gauge("hanlin_queue_tokens", "Tokens waiting", "endpoint")
        self.batch_rows = self._histogram("hanlin_batch_rows", "Texts in one engine step", _ROWS, "endpoint")
        self.padding = self._histogram("hanlin_batch_padding_share", "Share of padding in one engine step", _SHARES, "endpoint")
        self.replicas = self._gauge("hanlin_replicas", "Replicas by state", "endpoint", "state")
        self.worker_restarts = self._counter("hanlin_worker_restarts", "Workers that died and were started again", "endpoint")
        self.retries = self._counter("hanlin_request_retries", "Calls tried again on another replica", "endpoint")
        self.jobs = self._gauge("hanlin_jobs", "Jobs by state", "lane", "state")

    def exposition(self) -> bytes:
        """All of them as text for `/metrics` (`CONTENT_TYPE`)."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)
