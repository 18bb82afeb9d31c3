"""How many requests may be in flight."""

from __future__ import annotations

from hanlin.client.pace import GENTLE, Pace


def test_it_grows_to_the_most_while_all_is_well() -> None:
    pace = Pace(8)
    assert pace.limit == 2
    for _ in range(20):
        pace.good()
    assert pace.limit == 8
    assert Pace(1).limit == 1


def test_a_refusal_halves_it_once_a_round_and_it_grows_slowly_from_there() -> None:
    pace = Pace(32)
    for _ in range(30):
        pace.good()
    pace.refused(sent_s=1.0, now_s=2.0)
    assert pace.limit == 16
    pace.refused(sent_s=1.5, now_s=2.1)  # sent before the cut
    assert pace.limit == 16
    pace.refused(sent_s=2.0, now_s=2.2)
    assert pace.limit == 8
    for _ in range(8 * GENTLE - 8):
        pace.good()
    assert pace.limit == 8
    for _ in range(16):
        pace.good()
    assert pace.limit == 9
    for turn in range(10):
        pace.refused(sent_s=3.0 + turn, now_s=3.5 + turn)
    assert pace.limit == 1


def test_a_server_that_is_away_is_asked_by_one_alone() -> None:
    pace = Pace(16)
    for _ in range(14):
        pace.good()
    pace.away(sent_s=1.0, now_s=2.0, pause_s=3.0)
    assert (pace.limit, pace.held_until_s()) == (1, 5.0)
    pace.away(sent_s=1.0, now_s=2.1, pause_s=0.1)
    assert pace.held_until_s() == 5.0
    for _ in range(7):
        pace.good()
    assert pace.limit == 8  # half of what it bore, soon again


def test_it_does_not_grow_where_requests_wait_at_the_server() -> None:
    pace = Pace(16)
    pace.good(queue_ms=1.0)
    for _ in range(100):
        pace.good(queue_ms=30.0)
    assert pace.limit == 3
    for _ in range(100):
        pace.good(queue_ms=500.0)
    assert pace.limit == 2  # one that is worked on, one that waits
    for _ in range(4):
        pace.good(queue_ms=1.0)
    assert pace.limit == 6
