"""What vLLM tells of tokens, in our words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hanlin.engines.vllm_words import reading_of


def told(log: float, rank: int) -> Any:
    return SimpleNamespace(logprob=log, rank=rank)


@pytest.mark.parametrize(
    ("chances", "is_first"),
    [
        ({7: told(-0.7, 1), 9: told(-0.7, 2)}, True),
        ({9: told(-0.7, 1), 7: told(-0.7, 2)}, True),
        ({9: told(-0.5, 1), 7: told(-0.7, 2)}, False),
        ({7: told(-3.0, 11), 9: told(-0.7, 1), 8: told(-0.7, 2)}, False),
    ],
)
def test_of_equally_likely_tokens_none_was_likelier(chances: dict[int, Any], is_first: bool) -> None:
    """Bug: in bf16 two tokens are often level, and by vLLM's ranks the accuracy was lower than torch's of the same numbers."""
    (seen,) = reading_of(SimpleNamespace(prompt_logprobs=[None, chances]), 0, [3, 7], 2).seen
    assert (seen.is_first, seen.log, len(seen.likeliest)) == (is_first, chances[7].logprob, 2)


@pytest.mark.parametrize("rank", [1, 2])
def test_where_no_others_are_told_the_rank_decides(rank: int) -> None:
    (seen,) = reading_of(SimpleNamespace(prompt_logprobs=[None, {7: told(-0.7, rank)}]), 0, [3, 7], 0).seen
    assert (seen.is_first, seen.likeliest) == (rank == 1, ())
