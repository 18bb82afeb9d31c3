"""How likely texts are: the figures of a model that goes on with texts, and how like two such models are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hanlin.generation import Generated, Seen
from hanlin.tasks.continued_texts import likelihood_metrics
from hanlin.tasks.next_token_likeness import COUNT, NEXT_TOKENS
from hanlin.tasks.sequences import from_arrays, to_arrays


def test_what_was_read_goes_through_arrays() -> None:
    seen = (Seen(-0.5, True, ((4, -0.5), (2, -1.5))), Seen(-2.25, False, ((9, -0.25), (4, -2.25))))
    rows = [Generated((), "stop", -2.75, seen), Generated((5, 6), "length", -1.0), Generated((), "stop", -0.5, seen[:1])]
    assert from_arrays(to_arrays(rows)) == rows


def test_figures_by_hand() -> None:
    found = likelihood_metrics([-2 * math.log(2), -6 * math.log(2)], [2, 2], [1, 2], [4, 12])
    assert found.get("bits_per_byte") == pytest.approx(0.5)
    assert found.get("perplexity") == pytest.approx(4.0)
    assert found.get("accuracy") == pytest.approx(0.75)


def test_likeness_is_a_divergence_that_never_exaggerates() -> None:
    chance = np.random.default_rng(1)
    logs = np.log(chance.dirichlet(np.ones(30), size=(2, 5)))  # (models, places, vocabulary)

    def told(rows: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return NEXT_TOKENS.of([[(int(token), float(row[token])) for token in np.argsort(-row)[:COUNT]] for row in rows])

    one, other = map(told, logs)
    whole = (np.exp(logs[1]) * (logs[1] - logs[0])).sum(axis=1)
    found = NEXT_TOKENS.differ(one, other)
    assert (found >= 0).all()
    assert (found <= whole.clip(max=1.0) + 1e-9).all()
    assert NEXT_TOKENS.differ(one, one) == pytest.approx(0.0, abs=1e-9)
    assert NEXT_TOKENS.agree(one, one).all()
    assert NEXT_TOKENS.closeness(one, one) == 1.0


def test_models_that_name_nothing_in_common_are_far_apart() -> None:
    """Each is sure of a token that the other has not among its eight."""
    scores = np.zeros((2, 1, 40))
    scores[0, 0, 0] = scores[1, 0, 39] = 9.0
    scores[0, 0, 1:8] = scores[1, 0, 32:39] = 1.0
    one, other = map(NEXT_TOKENS.numbers, scores)
    assert not set(one[0, ::2]) & set(other[0, ::2])
    assert NEXT_TOKENS.differ(one, other) == 1.0
    assert not NEXT_TOKENS.agree(one, other).any()
