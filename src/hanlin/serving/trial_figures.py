"""`trials.json`: what trials and the versions they are compared with have done, written by the reconciler, read by gateways for `/metrics`.

The numbers are those that the judge sees: counted in the workers, added up over their deaths, from the moment the trial began. Labels are
bounded in number: whoever draws these figures keeps a series for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.judge import Seen, label_drift
from hanlin.serving.published import publish
from hanlin.serving.routes import TrialRole, route_key

TRIALS_FILE = "trials.json"
MAX_LABELS = 20  # of a trial, both sides together; the rest is counted as OTHER
OTHER = "(other)"
_LABEL_LENGTH = 64


class Side(msgspec.Struct, frozen=True):
    """One of the two versions. `latency` in the buckets of `serving.latency`, `labels`: answered rows by their best label."""

    version: str
    variant: str
    failed: int
    deaths: int
    latency: tuple[int, ...]
    labels: dict[str, int]


class TrialFigures(msgspec.Struct, frozen=True):
    """One trial. `endpoint` as routes name it."""

    endpoint: str
    role: TrialRole
    weight: int
    trial: Side
    live: Side
    label_drift: float


class TakenBack(msgspec.Struct, frozen=True):
    """How many trials of an endpoint were taken back for one reason, by the code of its message, since the reconciler started."""

    endpoint: str
    role: TrialRole
    reason: str
    count: int


class Figures(msgspec.Struct, frozen=True):
    """Trials that run, and ends of those that did not bear the judge."""

    trials: tuple[TrialFigures, ...] = ()
    taken_back: tuple[TakenBack, ...] = ()


def figures_of(tried: DeploymentSpec, trial: Seen, serves: DeploymentSpec, live: Seen) -> TrialFigures:
    """What is told of a trial."""
    role = tried.role
    assert role != "live"
    kept = _kept_labels(trial.labels, live.labels)
    drift = round(label_drift(trial.labels, live.labels), 4)
    key = route_key(tried.team_id, tried.endpoint)
    return TrialFigures(key, role, tried.weight, _side(tried, trial, kept), _side(serves, live, kept), drift)


def _side(spec: DeploymentSpec, seen: Seen, kept: set[str]) -> Side:
    return Side(spec.version, spec.variant, seen.failed, seen.deaths, seen.latency, _bounded(seen.labels, kept))


def save_figures(folder: Path, figures: Figures) -> None:
    """Publish `figures` in `folder`. Raises OSError."""
    publish(folder / TRIALS_FILE, figures)


def load_figures(folder: Path) -> Figures:
    """The published figures; none where the file is not there (yet) or damaged (it will be written anew)."""
    try:
        return msgspec.json.decode((folder / TRIALS_FILE).read_bytes(), type=Figures)
    except (OSError, msgspec.MsgspecError):
        return Figures()


def _kept_labels(one: Mapping[str, int], other: Mapping[str, int]) -> set[str]:
    """The labels that came most often on both sides together; all, where they are few. Equal ones by name, so that they stay the same."""
    counts = {label: one.get(label, 0) + other.get(label, 0) for label in one.keys() | other.keys()}
    if len(counts) <= MAX_LABELS:
        return set(counts)
    return set(sorted(counts, key=lambda label: (-counts[label], label))[: MAX_LABELS - 1])


def _bounded(labels: Mapping[str, int], kept: set[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for label, count in sorted(labels.items()):
        name = label[:_LABEL_LENGTH] if label in kept else OTHER
        found[name] = found.get(name, 0) + count
    return found
