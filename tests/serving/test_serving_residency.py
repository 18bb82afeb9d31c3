"""Who stays in memory: plain numbers and a clock of our own."""

from __future__ import annotations

from hanlin.serving.residency import Resident, Usage, can_ever_fit, find_idle, make_room


def resident(name: str, last_used_s: float, *, size_bytes: int = 10, **options: object) -> Resident:
    return Resident(name, size_bytes, last_used_s, options.pop("is_busy", False), **options)  # type: ignore[arg-type]


def test_those_idle_for_their_time_leave_and_no_others() -> None:
    residents = [
        resident("long", 0.0, idle_s=60.0),
        resident("busy", 0.0, idle_s=60.0, is_busy=True),
        resident("short", 50.0, idle_s=60.0),
        resident("never", 0.0, idle_s=0.0),
        resident("kept", 0.0, idle_s=60.0, can_leave=False),
    ]
    assert find_idle(residents, now_s=59.9) == []
    assert find_idle(residents, now_s=60.0) == ["long"]
    assert find_idle(residents, now_s=110.0) == ["long", "short"]


def test_the_longest_unused_make_room_and_only_as_many_as_needed() -> None:
    residents = [resident("c", 3.0), resident("a", 1.0), resident("b", 2.0)]
    assert make_room(residents, now_s=10.0, budget_bytes=40, wanted_bytes=10) == []
    assert make_room(residents, now_s=10.0, budget_bytes=39, wanted_bytes=10) == ["a"]
    assert make_room(residents, now_s=10.0, budget_bytes=25, wanted_bytes=10) == ["a", "b"]
    assert make_room(residents, now_s=10.0, budget_bytes=0) == ["a", "b", "c"]


def test_nobody_leaves_with_work_in_flight_or_who_must_stay() -> None:
    residents = [resident("busy", 1.0, is_busy=True), resident("kept", 2.0, can_leave=False), resident("free", 3.0)]
    assert make_room(residents, now_s=10.0, budget_bytes=0, wanted_bytes=10) == ["free"]


def test_one_used_a_moment_ago_stays() -> None:
    residents = [resident("fresh", 9.1), resident("freshest", 9.9)]
    assert make_room(residents, now_s=10.0, budget_bytes=0) == []
    assert make_room(residents, now_s=10.2, budget_bytes=0) == ["fresh"]


def test_what_can_ever_fit_counts_those_that_must_stay_only() -> None:
    residents = [resident("busy", 1.0, is_busy=True), resident("kept", 2.0, can_leave=False)]
    assert can_ever_fit(residents, budget_bytes=20, wanted_bytes=10)
    assert not can_ever_fit(residents, budget_bytes=19, wanted_bytes=10)


def test_usage_is_seen_in_counts_and_in_work_in_flight() -> None:
    usage = Usage(0.0)
    usage.see({0: 0}, 0, now_s=1.0)
    usage.see({0: 0}, 0, now_s=2.0)
    assert usage.last_used_s == 1.0, "a replica that is new counts as used"
    usage.see({0: 5}, 0, now_s=3.0)
    usage.see({0: 5}, 0, now_s=4.0)
    assert usage.last_used_s == 3.0
    usage.see({0: 5}, 1, now_s=5.0)
    assert (usage.last_used_s, usage.is_busy) == (5.0, True)
