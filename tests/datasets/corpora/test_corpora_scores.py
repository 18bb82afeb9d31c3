"""The scores of the baselines, against figures that sacreBLEU 2.6 (chrF2) and rouge-score 0.1.2 (ROUGE-L) gave for the same texts."""

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "bench"
FOUND = ["The cat sat on the mat.", "a dog", "今天天气好", "completely different"]
GOLD = ["A cat is sitting on the mat.", "the dog runs home", "今天的天气很好", "nothing in common"]


@pytest.fixture(scope="module")
def scores():
    sys.path.insert(0, str(BENCH))
    try:
        import corpora_scores
    finally:
        sys.path.remove(str(BENCH))
    return corpora_scores


def test_chrf(scores):
    assert scores.chrf(FOUND, GOLD) == pytest.approx(23.32755150, abs=1e-6)
    assert scores.chrf(GOLD, GOLD) == 100
    assert scores.chrf(["x"], ["y"]) == 0


def test_rouge_l(scores):
    english = [0, 1, 3]
    assert scores.rouge_l([FOUND[at] for at in english], [GOLD[at] for at in english]) == pytest.approx(31.62393162, abs=1e-6)
    assert scores.rouge_l(["今天天气好"], ["今天的天气很好"]) == pytest.approx(100 * 10 / 12)


def test_answers_spans_and_ranks(scores):
    assert scores.answer_scores(["The Eiffel Tower", "", "北京"], ["eiffel tower", "", "北京市"]) == (
        pytest.approx(200 / 3),
        pytest.approx(280 / 3),
    )
    assert scores.span_f1([{(0, 1, "A"), (2, 3, "B")}], [{(0, 1, "A")}]) == pytest.approx(200 / 3)
    assert scores.ndcg_at_10([0, 2, 10]) == pytest.approx(50)
