"""When a trial is taken back, and how many replicas there shall be: plain numbers and a manual clock."""

from __future__ import annotations

import pytest

from hanlin.serving.autoscale import MAX_QUEUED_TOKENS, Autoscaler, Load
from hanlin.serving.judge import JudgeLimits, Seen, chance_drift, judge, label_drift
from hanlin.serving.latency import bucket, new_histogram

LIMITS = JudgeLimits(min_calls=100, max_error_points=2.0, max_latency_ratio=2.0, max_label_drift=0.2)


def seen(answered: int, *, failed: int = 0, seconds: float = 0.02, deaths: int = 0, positive: float = 0.5) -> Seen:
    histogram = new_histogram()
    histogram[bucket(seconds)] = answered
    labels = {"positive": round(answered * positive), "negative": answered - round(answered * positive)}
    return Seen(failed, tuple(histogram), labels, deaths)


LIVE = seen(1000, failed=10)


@pytest.mark.parametrize(
    ("trial", "code"),
    [
        (seen(100), None),
        (seen(1000, failed=10), None),
        (seen(98, failed=2), None),
        (seen(96, failed=4), "trial_errors"),
        (seen(60, failed=10), None),  # not enough calls yet
        (seen(60, failed=20), "trial_errors"),  # plainly broken
        (seen(0, failed=20), "trial_errors"),
        (seen(200, seconds=0.038), None),
        (seen(200, seconds=0.08), "trial_slow"),
        (seen(99, seconds=0.08), None),
        (seen(200, positive=0.6), None),
        (seen(200, positive=0.95), "trial_drift"),
        (seen(99, positive=1.0), None),
        (seen(0, deaths=3), "trial_died"),
        (seen(500, deaths=2), None),
    ],
)
def test_a_trial_is_taken_back_for_what_is_worse_than_what_serves(trial: Seen, code: str | None) -> None:
    reason = judge(trial, LIVE, LIMITS)
    assert (reason.code if reason else None) == code


def test_deaths_that_both_share_are_no_fault_of_the_trial() -> None:
    assert judge(seen(0, deaths=3), seen(0, deaths=3), LIMITS) is None


def test_a_fast_model_may_be_slower_by_a_few_milliseconds() -> None:
    assert judge(seen(500, seconds=0.005), seen(500, seconds=0.001), LIMITS) is None


def test_labels_wait_for_enough_calls_of_what_serves() -> None:
    assert judge(seen(500, positive=1.0), seen(20), LIMITS) is None


def test_drift_is_the_share_of_rows_that_would_have_to_move() -> None:
    assert label_drift({"a": 50, "b": 50}, {"a": 500, "b": 500}) == 0.0
    assert label_drift({"a": 100}, {"b": 7}) == 1.0
    assert label_drift({"a": 70, "b": 30}, {"a": 50, "b": 50}) == pytest.approx(0.2)
    assert label_drift({}, {"a": 1}) == chance_drift({}, {"a": 1}) == 0.0


def test_many_labels_and_few_calls_drift_by_chance() -> None:
    even = dict.fromkeys(map(str, range(50)), 2)
    odd = {label: 4 if int(label) % 2 else 0 for label in even}
    assert label_drift(even, odd) == pytest.approx(0.5)
    assert chance_drift(even, odd) > 0.3


class Scaled:
    """An autoscaler and a clock that is moved by hand."""

    def __init__(self, replicas: int = 1) -> None:
        self.now_s = 0.0
        self.scaler = Autoscaler(replicas, up_after_s=3.0, down_after_s=60.0)

    def after(self, seconds: float, *, queued: float = 0.0, busy: float = 0.0, replicas: int | None = None) -> int:
        self.now_s += seconds
        load = Load(self.scaler.replicas if replicas is None else replicas, queued, busy)
        return self.scaler.decide(self.now_s, load, low=1, high=3)


def test_work_that_waits_for_a_while_brings_a_replica() -> None:
    found, much = Scaled(), MAX_QUEUED_TOKENS + 1.0
    assert [found.after(1, queued=much) for _ in range(4)] == [1, 1, 1, 2]
    assert found.after(5, queued=9 * much, replicas=1) == 2, "the second is still loading"
    assert [found.after(1, queued=9 * much) for _ in range(4)] == [2, 2, 2, 3]
    assert [found.after(9, queued=99 * much) for _ in range(3)] == [3, 3, 3], "never more than the maximum"


def test_a_short_burst_brings_none() -> None:
    found, much = Scaled(), MAX_QUEUED_TOKENS + 1.0
    assert [found.after(1, queued=queued) for queued in (much, much, 0.0, much, much, 0.0)] == [1] * 6


def test_engines_that_never_rest_bring_a_replica() -> None:
    found = Scaled()
    assert [found.after(1, busy=0.95) for _ in range(4)] == [1, 1, 1, 2]
    assert [found.after(10, busy=0.6) for _ in range(20)] == [2] * 20, "neither short nor spare: the band between"


def test_rest_takes_one_away_after_long() -> None:
    found = Scaled(3)
    assert found.after(1, busy=0.2) == 3
    assert found.after(59, busy=0.2) == 3
    assert found.after(1, busy=0.2) == 2
    assert [found.after(30, busy=busy) for busy in (0.2, 0.9, 0.2, 0.2)] == [2, 2, 2, 2], "busy in between: it begins anew"
    assert found.after(30, busy=0.2) == 1
    assert found.after(999, busy=0.0) == 1, "never fewer than the minimum"


def test_changed_limits_hold_at_once() -> None:
    scaler = Autoscaler(1, up_after_s=3.0, down_after_s=60.0)
    assert scaler.decide(0.0, Load(1, 0.0, 0.0), low=2, high=4) == 2
    assert scaler.decide(1.0, Load(2, 0.0, 0.0), low=1, high=1) == 1
