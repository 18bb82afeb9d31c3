"""Tokens that are guessed ahead of a row that is alone: what comes true saves turns, and nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.engines.test_engines_paged_batch import STOP, Summing, batch_over, run

from hanlin.engines.token_choice import Line
from hanlin.generation import GenerationSettings


def circling(ids: Sequence[int]) -> int:
    """The same eleven tokens over and over, with a slip now and then."""
    return 40 if len(ids) % 37 == 0 else len(ids) % 11 + 4


@pytest.mark.parametrize("temperature", [0.0, 1.2])
def test_guesses_that_come_true_save_turns_and_change_nothing(temperature: float) -> None:
    asked = GenerationSettings(max_new_tokens=200, temperature=temperature, seed=3, tells=True, likeliest=1)
    told: list[tuple[list[int], list[object], float, str | None]] = []
    steps = []
    for company in (0, 1):
        model = Summing(next_token=circling)
        batch = batch_over(model)
        batch.admit(0, Line(asked, (4, 5, 6), frozenset({STOP}), 200))
        if company:  # beside others nobody guesses
            batch.admit(1, Line(GenerationSettings(), (7,), frozenset(), 1000))
        ids, seen, score, finish = [], [], 0.0, None
        while finish is None:
            for delta in batch.turn():
                if delta.number == 0:
                    ids, seen, score, finish = [*ids, *delta.ids], [*seen, *delta.seen], score + delta.score, delta.finish
            batch.pool.check_integrity()
        told.append((ids, seen, pytest.approx(score), finish))
        steps.append(len(model.read))
    assert told[0] == told[1]
    if not temperature:
        assert (len(told[0][0]), told[0][3]) == (200, "length")
        assert steps[0] < 0.6 * steps[1]


def test_guesses_that_do_not_come_true_are_given_up_for_a_while() -> None:
    model = Summing(size=64, next_token=lambda ids: [4, 5, 6][len(ids) % 4] if len(ids) % 4 < 3 else 7 + len(ids) // 4 % 40)
    batch = batch_over(model)
    batch.admit(0, Line(GenerationSettings(max_new_tokens=150), (4, 5, 6), frozenset(), 150))
    run(batch, {})
    assert 8 <= sum(read > 1 for read in model.read[1:]) < 20
