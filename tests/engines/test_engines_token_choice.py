"""Tokens are chosen as the torch engine chooses them: the same rules with the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hanlin.engines.token_choice import Line, choose, limit, log_sum, seen_of
from hanlin.generation import GenerationSettings
from hanlin.networks.generation.limits import Row
from hanlin.networks.generation.limits import limit as limit_torch

BEFORE, WRITTEN = (4, 5, 6, 4, 5), [6, 4, 5, 9]
RULES = [
    {"repetition_penalty": 1.4},
    {"no_repeat_ngram": 2, "banned_ids": (1, 2, 39)},
    {"min_new_tokens": 6},
    {"prefix": (7, 7, 7, 7, 8)},
    {"repetition_penalty": 0.8, "banned_ids": (0,), "no_repeat_ngram": 3},
]


def scores_of(seed: int = 0, size: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, size).astype(np.float32)


def line_of(settings: GenerationSettings) -> Line:
    line = Line(settings, BEFORE, frozenset({3}), 20)
    line.written += WRITTEN
    return line


@pytest.mark.parametrize("rules", RULES)
def test_rules_are_those_of_the_torch_engine(rules: dict[str, object]) -> None:
    settings = GenerationSettings(max_new_tokens=20, **rules)  # type: ignore[arg-type]
    ours, theirs = scores_of(), torch.from_numpy(scores_of())
    limit(ours, line_of(settings))
    limit_torch(theirs, Row(0, settings, BEFORE, frozenset({3}), 20), WRITTEN)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)
    assert (ours != scores_of()).any()


def test_penalties_count_what_was_written_and_biases_are_added() -> None:
    settings = GenerationSettings(presence_penalty=0.7, frequency_penalty=-0.4, logit_bias=((5, -100.0), (8, 3.5), (99, 1.0)))
    line, scores = line_of(settings), scores_of()
    line.written.append(9)
    limit(scores, line)
    change = np.zeros(40, np.float32)
    change[[4, 5, 6, 8, 9]] = [-0.3, -100.3, -0.3, 3.5, 0.1]  # 9 was written twice; what was only read counts nothing
    np.testing.assert_allclose(scores, scores_of() + change, atol=1e-5)


def test_what_is_told_is_what_the_network_thinks_and_the_score_is_what_the_rules_leave() -> None:
    likeliest = int(scores_of().argmax())
    choice = choose(scores_of(), line_of(GenerationSettings(tells=True, likeliest=3, banned_ids=(likeliest,))))
    logs = torch.from_numpy(scores_of()).log_softmax(0)
    assert choice.token == int(np.argsort(scores_of())[-2])
    assert choice.seen is not None
    assert not choice.seen.is_first
    assert choice.seen.log == pytest.approx(float(logs[choice.token]), abs=1e-5)
    assert [token for token, _ in choice.seen.likeliest] == logs.topk(3).indices.tolist()
    assert choice.log > choice.seen.log


def test_draws_follow_their_chances_and_bounds() -> None:
    scores = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))

    def drawn(**more: object) -> np.ndarray:
        line = Line(GenerationSettings(temperature=1.0, seed=4, **more), (1,), frozenset(), 9)  # type: ignore[arg-type]
        return np.bincount([choose(scores.copy(), line).token for _ in range(4000)], minlength=4) / 4000

    np.testing.assert_allclose(drawn(), [0.5, 0.3, 0.15, 0.05], atol=0.03)
    np.testing.assert_allclose(drawn(top_p=0.6), [0.625, 0.375, 0, 0], atol=0.03)
    np.testing.assert_allclose(drawn(top_k=1), [1, 0, 0, 0])
    np.testing.assert_allclose(drawn(top_k=3, top_p=0.5), [1, 0, 0, 0])


def test_the_head_of_a_large_vocabulary_is_drawn_from_as_the_whole_would_be() -> None:
    scores = np.random.default_rng(2).normal(0, 1, 5000).astype(np.float32)
    scores[[17, 4000]] += 9
    line = Line(GenerationSettings(temperature=0.9, top_p=0.8, seed=1), (1,), frozenset(), 9)
    chances = torch.from_numpy(scores / 0.9).softmax(0).sort(descending=True)
    kept = set(chances.indices[chances.values.cumsum(0) - chances.values < 0.8].tolist())
    drawn = {choose(scores.copy(), line).token for _ in range(300)}
    assert {17, 4000} <= drawn <= kept
    flat = Line(GenerationSettings(temperature=1.0, top_p=0.9, seed=1), (1,), frozenset(), 9)
    assert len({choose(np.zeros(5000, np.float32), flat).token for _ in range(200)}) > 150


def test_a_form_leaves_what_it_allows_and_ends_the_row() -> None:
    class Pair:
        """One 5 or 8, then a 9, and nothing else."""

        def allowed(self, written: list[int]) -> np.ndarray:
            bits = np.zeros(40, np.uint8)
            bits[[5, 8] if not written else [9]] = 1
            return np.packbits(bits, bitorder="little")

        def may_end(self, written: list[int]) -> bool:
            return len(written) == 2

        def must_end(self, written: list[int]) -> bool:
            return len(written) == 2

    for settings in (GenerationSettings(), GenerationSettings(banned_ids=(5, 8, 9))):
        line = Line(settings, BEFORE, frozenset({3}), 20, form=Pair())
        first = choose(scores_of(), line).token
        assert first in (5, 8)
        assert line.take(first) is None
        assert (choose(scores_of(1), line).token, line.take(9)) == (9, "stop")


def test_scores_that_are_none_are_refused() -> None:
    for value in (np.nan, np.inf):
        scores = scores_of()
        scores[7] = value
        with pytest.raises(ValueError, match="finite"):
            choose(scores, line_of(GenerationSettings()))


def test_sums_of_large_scores_do_not_overflow() -> None:
    assert log_sum(np.array([1e4, 1e4], np.float32)) == pytest.approx(1e4 + np.log(2))
    assert seen_of(np.array([1e4, -1e4], np.float32), 1, 0).log == pytest.approx(-2e4)
