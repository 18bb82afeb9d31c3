"""Whether a trial shall be taken back: errors, deaths, latency and labels against the version that serves. Pure.

A verdict needs enough calls on both sides; until then a trial goes on, unless it is plainly broken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hanlin.messages.said import Said
from hanlin.serving.latency import percentile_s

_SLACK_S = 0.005  # below this a ratio of latencies says nothing about a model
_BROKEN_SHARE = 0.2  # of `min_calls`: so many failures settle it before there are enough calls
_MAX_DEATHS = 3
_NOISE = 3.0  # times the drift that two samples of the same labels show by chance


@dataclass(frozen=True, slots=True)
class Seen:
    """What a version did since the trial began.

    Args:
        failed: calls that ended by the model's or the engine's fault, or by their deadline in its queue.
        latency: answered calls in the buckets of `serving.latency`.
        labels: answered rows by their best label.
        deaths: workers that ended.
    """

    failed: int = 0
    latency: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    deaths: int = 0

    @property
    def calls(self) -> int:
        """Calls that were answered or failed."""
        return sum(self.latency) + self.failed

    @property
    def error_share(self) -> float:
        """Share of the calls that failed, 0..1."""
        return self.failed / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class JudgeLimits:
    """How much worse a trial may be.

    Args:
        min_calls: calls on each side before latency and labels are judged, and of the trial before its errors are.
        max_error_points: failed calls, in percentage points above the version that serves.
        max_latency_ratio: of the 95th percentiles.
        max_label_drift: share of the rows that would have to change their label to make both distributions equal, 0..1.
    """

    min_calls: int = 100
    max_error_points: float = 2.0
    max_latency_ratio: float = 2.0
    max_label_drift: float = 0.2


def judge(trial: Seen, live: Seen, limits: JudgeLimits) -> Said | None:
    """Why the trial shall be taken back; None: it goes on."""
    if trial.deaths >= _MAX_DEATHS and trial.deaths > live.deaths:
        return Said("trial_died", {"deaths": trial.deaths})
    points = (trial.error_share - live.error_share) * 100
    is_enough = trial.calls >= limits.min_calls
    if points > limits.max_error_points and (is_enough or trial.failed >= _BROKEN_SHARE * limits.min_calls):
        return Said("trial_errors", {"failed": trial.failed, "calls": trial.calls, "limit": limits.max_error_points})
    if not is_enough or live.calls < limits.min_calls:
        return None
    slow_s, usual_s = percentile_s(trial.latency, 0.95), percentile_s(live.latency, 0.95)
    if slow_s is not None and usual_s is not None and slow_s > usual_s * limits.max_latency_ratio + _SLACK_S:
        return Said("trial_slow", {"ms": round(slow_s * 1000), "usual_ms": round(usual_s * 1000), "limit": limits.max_latency_ratio})
    drift = label_drift(trial.labels, live.labels)
    if drift > limits.max_label_drift + chance_drift(trial.labels, live.labels):
        return Said("trial_drift", {"percent": round(drift * 100), "limit": round(limits.max_label_drift * 100)})
    return None


def label_drift(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Total variation distance of two distributions, 0..1; 0 when one of them is empty."""
    total, other_total = sum(one.values()), sum(other.values())
    if not total or not other_total:
        return 0.0
    return sum(abs(one.get(label, 0) / total - other.get(label, 0) / other_total) for label in one.keys() | other.keys()) / 2


def chance_drift(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """The drift that chance alone explains between samples of these sizes.

    The mean of |difference| of two shares of a label with share p is sqrt(2/pi * p(1-p) (1/n + 1/m)) (normal approximation)."""
    total, other_total = sum(one.values()), sum(other.values())
    if not total or not other_total:
        return 0.0
    shares = [(one.get(label, 0) + other.get(label, 0)) / (total + other_total) for label in one.keys() | other.keys()]
    spread = 2 / math.pi * (1 / total + 1 / other_total)
    return _NOISE * sum(math.sqrt(spread * share * (1 - share)) for share in shares) / 2
