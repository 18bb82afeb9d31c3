"""Trials in `/metrics`: counters of both sides, a histogram whose buckets hold what the judge's do, and how trials ended."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from hanlin.gateway.trial_metrics import TrialMetrics
from hanlin.serving.declared import DeploymentSpec
from hanlin.serving.judge import Seen
from hanlin.serving.latency import bucket, new_histogram
from hanlin.serving.trial_figures import Figures, TakenBack, figures_of

LIVE = DeploymentSpec("d1", "team", "e", "m", "m:1", "fake-fp32")
TRIED = DeploymentSpec("d2", "team", "e", "m", "m:2", "fake-fp32", role="canary", weight=10)


def scrape(figures: Figures) -> dict[tuple[str, str], dict[str, float]]:
    """Values by name and side, then by the label that tells them apart."""
    registry = CollectorRegistry()
    registry.register(TrialMetrics(figures))
    found: dict[tuple[str, str], dict[str, float]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for name, labels, value, *_ in family.samples:
            part = labels.get("label") or labels.get("le") or labels.get("reason") or labels.get("version") or ""
            found.setdefault((name, labels.get("side", "")), {})[part] = value
    return found


def test_what_the_judge_sees_is_told() -> None:
    latency = new_histogram()
    for seconds in (0.0004, 0.004, 0.004, 500.0):
        latency[bucket(seconds)] += 1
    trial = Seen(3, tuple(latency), {"calm": 3, "storm": 1}, deaths=2)
    live = Seen(0, tuple(new_histogram()), {"calm": 4})
    found = scrape(Figures((figures_of(TRIED, trial, LIVE, live),), (TakenBack("team/old", "shadow", "trial_drift", 2),)))
    assert found["hanlin_trial_calls_total", "trial"] == {"m:2": 7}
    assert found["hanlin_trial_calls_total", "live"] == {"m:1": 0}
    assert found["hanlin_trial_failed_total", "trial"] == {"m:2": 3}
    assert found["hanlin_trial_deaths_total", "trial"] == {"m:2": 2}
    assert found["hanlin_trial_rows_total", "trial"] == {"calm": 3, "storm": 1}
    assert found["hanlin_trial_label_drift", ""] == {"": 0.25}
    assert found["hanlin_trial_weight", ""] == {"": 10}
    assert found["hanlin_trials_taken_back_total", ""] == {"trial_drift": 2}
    buckets = found["hanlin_trial_seconds_bucket", "trial"]
    assert (len(buckets), buckets["+Inf"], list(buckets.values())) == (15, 4, sorted(buckets.values()))
    assert [count for edge, count in buckets.items() if 0.0004 <= float(edge) < 0.004] == [1, 1]
    assert [count for edge, count in buckets.items() if 0.004 <= float(edge) < 100] == [3] * 11


def test_without_trials_nothing_is_told() -> None:
    assert scrape(Figures()) == {}
