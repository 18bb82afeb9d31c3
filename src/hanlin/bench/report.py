"""What a bench found, as frozen figures: the loads that were tried, the capacity, and what limits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hanlin.bench.load import Window
from hanlin.types import JsonObject, JsonValue

Limit = Literal["generator", "refusals", "failures", "engine", "encode", "gateway", "network"]
_KEPT_SHARE = 0.97  # of the offered rate, answered well: a rate counts as held
_SLOW_FACTOR = 10.0  # … and its p99 is at most this many times the p50 without load
_BUSY_SHARE = 0.9  # of a core: the generator itself is at its end
_LATE_S = 0.005


@dataclass(frozen=True, slots=True)
class BenchReport:
    """One bench of one endpoint.

    Args:
        model: version and variant that answered.
        source: where the texts come from: `file`, `dataset` or `built-in`.
        items: texts a request.
        closed: closed-loop loads by rising number of clients.
        open: open-loop loads by rising rate.
    """

    endpoint: str
    model: str
    source: str
    median_characters: int
    items: int
    closed: tuple[Window, ...]
    open: tuple[Window, ...]

    @property
    def capacity(self) -> Window:
        """The load with the most good answers a second."""
        return max((*self.closed, *self.open), key=lambda window: window.goodput_rps)

    @property
    def unloaded(self) -> Window:
        """One client, or the least load that was tried."""
        return (*self.closed, *self.open)[0]

    @property
    def held(self) -> Window | None:
        """The highest rate that was answered almost wholly and without long waits; None when none was."""
        slow_s = _SLOW_FACTOR * max(self.unloaded.latency.quantile_s(0.5), 1e-4)
        good = [
            w for w in self.open if w.offered_rps and w.goodput_rps >= _KEPT_SHARE * w.offered_rps and w.latency.quantile_s(0.99) <= slow_s
        ]
        return good[-1] if good else None

    @property
    def cached_share(self) -> float:
        """Share of the good answers that no model gave: they had been kept from earlier calls."""
        windows = (*self.closed, *self.open)
        return sum(window.cached for window in windows) / max(1, sum(window.good for window in windows))

    @property
    def limit(self) -> Limit:
        """What keeps the capacity from being higher."""
        return limit_of(self.capacity)

    def to_json(self) -> JsonObject:
        """The form for programs; milliseconds and requests a second."""
        held, rps = self.held, self.capacity.goodput_rps
        return {
            "endpoint": self.endpoint, "model": self.model, "texts": {"source": self.source, "median_characters": self.median_characters},
            "items": self.items, "capacity_rps": round(rps, 1), "capacity_texts_s": round(rps * self.items, 1),
            "held_rps": round(held.offered_rps or 0.0, 1) if held else None, "limit": self.limit,
            "cached_share": round(self.cached_share, 4),
            "closed": _windows(self.closed), "open": _windows(self.open),
        }  # fmt: skip


def limit_of(window: Window) -> Limit:
    """What a load that gave all it could was limited by."""
    if window.cpu_share > _BUSY_SHARE or (window.offered_rps and window.late.quantile_s(0.5) > _LATE_S):
        return "generator"
    if window.failed > 0.01 * window.answered:
        return "failures"
    if window.refused > 0.01 * window.answered:
        return "refusals"
    ms = window.parts.means_ms()
    shares: dict[Limit, float] = {
        "engine": ms["queue"] + ms["engine"],  # nobody waits in the queue but for the engine
        "encode": ms["encode"],
        "gateway": ms["parse"] + ms["hop"] + ms["decode"] + ms["write"],
        "network": ms["network"],
    }
    return max(shares, key=lambda name: shares[name])


def _windows(windows: Sequence[Window]) -> list[JsonValue]:
    return [_window(window) for window in windows]


def _window(window: Window) -> JsonObject:
    latency: JsonObject = dict(window.latency.to_json())
    return {
        "offered_rps": round(window.offered_rps, 1) if window.offered_rps is not None else None, "clients": window.clients,
        "seconds": round(window.seconds, 2), "goodput_rps": round(window.goodput_rps, 1), "good": window.good, "refused": window.refused,
        "failed": window.failed, "unsent": window.unsent, "cached": window.cached, "reasons": dict(window.reasons), "latency": latency,
        "late_p99_ms": round(window.late.quantile_s(0.99) * 1000, 3), "generator_cpu": round(window.cpu_share, 2),
        "parts_ms": dict(window.parts.means_ms()),
    }  # fmt: skip
