"""What the reconciler learns from its workers once a second: how many replicas there shall be, and whether a trial shall be taken back."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from hanlin.messages.said import Said
from hanlin.serving.autoscale import Autoscaler
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.judge import JudgeLimits, Seen, judge, label_drift
from hanlin.serving.latency import percentile_s
from hanlin.serving.observer import Observer, Totals
from hanlin.serving.replicas import ReplicaSet
from hanlin.serving.routes import TrialRole, route_key
from hanlin.serving.trial_figures import Figures, TakenBack, TrialFigures, figures_of
from hanlin.types import JsonObject, JsonValue

_TELL_S = 5.0  # how often the figures of a trial are written


class TrialRecord(Protocol):
    """Where the figures and the end of a trial are written. Called from a thread; may block."""

    def set_stats(self, deployment_id: str, stats: JsonObject) -> None:
        """Record what a trial and the version that serves have done."""
        ...

    def take_back(self, deployment_id: str, reason: Said, stats: JsonObject) -> None:
        """Take a trial back and keep the reason."""
        ...


@dataclass(frozen=True, slots=True)
class SteeringOptions:
    """Limits and times, as in the settings."""

    limits: JudgeLimits = field(default_factory=JudgeLimits)
    up_after_s: float = 3.0
    down_after_s: float = 60.0


@dataclass(slots=True)
class _Trial:
    """What had been seen of the version that serves when the trial began, and when figures were last written."""

    live_id: str
    live_before: Seen
    told_s: float


class Steering:
    """Belongs to the reconciler's event loop.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, record: TrialRecord, options: SteeringOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._record = record
        self._options = options
        self._clock = clock
        self._observer = Observer(clock=clock)
        self._totals: dict[str, Totals] = {}
        self._scalers: dict[str, Autoscaler] = {}
        self._trials: dict[str, _Trial] = {}
        self._ended: set[str] = set()
        self._figures: dict[str, TrialFigures] = {}
        self._taken_back: Counter[tuple[str, TrialRole, str]] = Counter()

    @property
    def figures(self) -> Figures:
        """What trials have done by now, and how others ended."""
        ends = tuple(TakenBack(*end, count) for end, count in self._taken_back.items())
        return Figures(tuple(self._figures.values()), ends)

    def fit(self, spec: DeploymentSpec) -> DeploymentSpec:
        """The wish with as many replicas as its load asks for at present."""
        scaler = self._scalers.get(spec.deployment_id)
        if scaler is None or spec.max_replicas <= spec.replicas:
            return spec
        return replace(spec, replicas=min(max(scaler.replicas, spec.replicas), spec.max_replicas))

    async def turn(self, wanted: Mapping[str, DeploymentSpec], sets: Mapping[str, ReplicaSet]) -> None:
        """Look at all deployments that are scaled or tried or compared with, and act.

        Args:
            wanted: what is declared, by deployment.
            sets: what runs, by deployment.
        """
        groups = {name: group for name, group in sets.items() if name in wanted}
        trials = {name: live for name, group in groups.items() if (live := _live_of(group, groups)) is not None}
        scaled = {name for name in groups if wanted[name].max_replicas > wanted[name].replicas}
        watched = trials.keys() | trials.values() | scaled
        self._forget(watched, trials, groups)
        for name in watched:
            group = groups[name]
            load = await self._observer.look(group.routes, self._totals.setdefault(name, Totals()))
            if name in scaled and group.state == "ready":
                self._scale(wanted[name]).decide(self._clock(), load, low=wanted[name].replicas, high=wanted[name].max_replicas)
        for name, live in trials.items():
            await self._judge(groups[name], groups[live])

    def close(self) -> None:
        """Hang up on all workers."""
        self._observer.forget_all_but(set())

    def _scale(self, spec: DeploymentSpec) -> Autoscaler:
        if spec.deployment_id not in self._scalers:
            options = self._options
            self._scalers[spec.deployment_id] = Autoscaler(
                spec.replicas, up_after_s=options.up_after_s, down_after_s=options.down_after_s
            )  # fmt: skip
        return self._scalers[spec.deployment_id]

    async def _judge(self, group: ReplicaSet, live: ReplicaSet) -> None:
        name, live_id = group.spec.deployment_id, live.spec.deployment_id
        if name in self._ended:
            return
        trial = self._trials.get(name)
        if trial is None or trial.live_id != live_id:  # it begins: what the other did before does not count
            before = self._totals[live_id].seen(since=Seen(), deaths=live.restarts)
            trial = self._trials[name] = _Trial(live_id, before, self._clock())
        tried = self._totals[name].seen(since=Seen(), deaths=group.restarts)
        usual = self._totals[live_id].seen(since=trial.live_before, deaths=live.restarts)
        stats: JsonObject = {
            "trial": figures(tried), "live": figures(usual), "label_drift": round(label_drift(tried.labels, usual.labels), 4)
        }  # fmt: skip
        reason = judge(tried, usual, self._options.limits)
        shown = self._figures[name] = figures_of(group.spec, tried, live.spec, usual)
        if reason is not None:
            await asyncio.to_thread(self._record.take_back, name, reason, stats)
            self._ended.add(name)
            self._taken_back[shown.endpoint, shown.role, reason.code] += 1
        elif self._clock() - trial.told_s >= _TELL_S:
            trial.told_s = self._clock()
            await asyncio.to_thread(self._record.set_stats, name, stats)

    def _forget(self, watched: set[str], trials: Mapping[str, str], groups: Mapping[str, ReplicaSet]) -> None:
        self._totals = {name: totals for name, totals in self._totals.items() if name in watched}
        self._scalers = {name: scaler for name, scaler in self._scalers.items() if name in watched}
        self._trials = {name: trial for name, trial in self._trials.items() if name in trials}
        self._figures = {name: shown for name, shown in self._figures.items() if name in trials}
        known = {route_key(group.spec.team_id, group.spec.endpoint) for group in groups.values()}
        self._taken_back = Counter({end: count for end, count in self._taken_back.items() if end[0] in known})
        self._ended &= groups.keys()
        self._observer.forget_all_but({route for name in watched for route in groups[name].routes})


def figures(seen: Seen) -> JsonObject:
    """What a version did, as it is stored and shown: times in milliseconds, labels by their share."""
    rows = sum(seen.labels.values())
    labels: JsonObject = {label: round(count / rows, 4) for label, count in sorted(seen.labels.items()) if count}
    found: dict[str, JsonValue] = {"calls": seen.calls, "failed": seen.failed, "deaths": seen.deaths, "labels": labels}
    for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        seconds = percentile_s(seen.latency, share)
        found[name] = None if seconds is None else round(seconds * 1000, 2)
    return found


def _live_of(group: ReplicaSet, groups: Mapping[str, ReplicaSet]) -> str | None:
    """The deployment that a trial is compared with: the newest that serves its endpoint. None for what is no trial."""
    spec = group.spec
    if spec.role == "live":
        return None
    same = [
        other.spec.deployment_id for other in groups.values()
        if (other.spec.team_id, other.spec.endpoint, other.spec.role) == (spec.team_id, spec.endpoint, "live") and other.routes
    ]  # fmt: skip
    return same[-1] if same else None
