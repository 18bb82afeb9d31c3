"""What steps cost, told from their times."""

from __future__ import annotations

import pytest

from hanlin.serving.speed import Speed


def test_fixed_part_and_part_by_token_are_told_apart() -> None:
    speed = Speed()
    for tokens in (20, 400, 100, 60):
        speed.observe(tokens, 0.003 + tokens * 0.00002)
    assert speed.is_known
    assert speed.seconds(4000) == pytest.approx(0.083)
    assert speed.seconds(4000, steps=3) == pytest.approx(0.089)


def test_steps_that_are_alike_tell_only_their_mean() -> None:
    speed = Speed()
    for _ in range(50):
        speed.observe(20, 0.003)
    assert not speed.is_known
    assert speed.seconds(20) == pytest.approx(0.003)


def test_a_few_large_steps_tell_of_those_that_are_no_larger() -> None:
    speed = Speed()
    for _ in range(4):
        assert not speed.knows(500)
        speed.observe(500, 0.025)
    assert not speed.knows(500), "the first ones may be slow"
    speed.observe(500, 0.025)
    assert speed.knows(999)
    assert not speed.knows(1001)


def test_long_run_of_single_texts_does_not_make_big_steps_look_slow() -> None:
    speed = Speed()
    for tokens in (20, 1000) * 5:
        speed.observe(tokens, 0.003 + tokens * 0.00002)
    for _ in range(1000):
        speed.observe(20, 0.0034)
    assert speed.seconds(1000) == pytest.approx(0.023, rel=0.01)


def test_engine_that_becomes_slower_is_noticed() -> None:
    speed = Speed()
    for factor in (1, 4):
        for tokens in (200, 1000) * 60:
            speed.observe(tokens, factor * tokens * 0.00002)
    assert speed.seconds(1000) == pytest.approx(0.08, rel=0.05)


def test_noise_never_makes_tokens_free_or_worth_less_than_nothing() -> None:
    speed = Speed()
    for tokens, seconds in ((1000, 0.001), (10, 0.05), (1000, 0.001), (10, 0.05)):
        speed.observe(tokens, seconds)
    assert 0 < speed.seconds(1) < speed.seconds(1000)


def test_no_time_is_no_speed() -> None:
    speed = Speed()
    speed.observe(10, 0.0)
    assert speed.seconds(10) == 0.0
