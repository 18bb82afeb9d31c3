"""Entity, correlation and ranking metrics against figures worked out by hand or by the libraries people know."""

import json

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import ndcg_score

from hanlin.tasks import TASKS
from hanlin.tasks.ranking_metrics import pair_metrics, ranking_metrics
from hanlin.tasks.span_metrics import NOT_JUDGED, ROW_END, span_metrics, spans

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ("O B-PER I-PER O B-LOC", {("PER", 1, 3), ("LOC", 4, 5)}),
        ("I-PER I-PER O I-LOC", {("PER", 0, 2), ("LOC", 3, 4)}),  # conlleval: I begins one where none is open
        ("B-PER I-LOC I-LOC", {("PER", 0, 1), ("LOC", 1, 3)}),
        ("B-PER B-PER", {("PER", 0, 1), ("PER", 1, 2)}),
        ("B-PER E-PER I-PER", {("PER", 0, 2), ("PER", 2, 3)}),
        ("S-PER S-PER O U-LOC", {("PER", 0, 1), ("PER", 1, 2), ("LOC", 3, 4)}),
        ("PER PER O LOC", {("PER", 0, 2), ("LOC", 3, 4)}),
        ("O O", set()),
        ("", set()),
    ],
)
def test_spans(tags, wanted):
    assert spans(tags.split()) == wanted


def gold_of(*rows):
    return np.array([code for row in rows for code in (ROW_END, *(LABELS.index(tag) if tag else NOT_JUDGED for tag in row), ROW_END)])


def test_span_metrics_count_whole_entities():
    gold = gold_of(["B-PER", "I-PER", None, "O", "B-LOC"], ["B-LOC", "O"], ["O"])
    # A name cut short, a place found, a place found in the second row, another invented in the third; codes below 0 do not matter.
    found = gold_of(["B-PER", "O", "O", "O", "B-LOC"], ["B-LOC", "O"], ["B-LOC"]).clip(0)
    result = span_metrics(found, gold, LABELS)
    assert (result.rows, result.precision, result.recall) == (3, pytest.approx(2 / 4), pytest.approx(2 / 3))
    assert result.f1 == pytest.approx(4 / 7)
    assert {item.label: (item.f1, item.support) for item in result.per_class} == {"LOC": (pytest.approx(0.8), 2), "PER": (0.0, 1)}
    assert result.macro_f1 == pytest.approx(0.4)
    assert result.accuracy == pytest.approx(5 / 7)
    assert 0 <= result.interval[0] <= result.f1 <= result.interval[1] <= 1
    assert json.loads(json.dumps(result.to_json()))["f1"] == pytest.approx(result.get("f1"))


def test_perfect_tags_are_perfect_and_a_text_without_entities_is_no_error():
    gold = gold_of(["B-PER", "I-PER"], ["O", "B-LOC"])
    result = span_metrics(gold.clip(0), gold, LABELS)
    assert (result.f1, result.accuracy, result.interval) == (1.0, 1.0, (1.0, 1.0))
    empty = gold_of(["O", "O"])
    assert span_metrics(empty.clip(0), empty, LABELS).f1 == 0.0


def test_correlations_are_those_of_scipy():
    chance = np.random.default_rng(3)
    gold = chance.integers(0, 6, 200).astype(float)  # with ties, as people give them
    similarity = gold / 5 + chance.normal(size=200)
    result = pair_metrics(similarity, gold)
    assert result.get("spearman") == pytest.approx(spearmanr(similarity, gold).statistic)
    assert result.get("pearson") == pytest.approx(pearsonr(similarity, gold).statistic)
    assert result.interval[0] < result.get("spearman") < result.interval[1]
    assert pair_metrics(np.ones(5), np.arange(5.0)).get("spearman") == 0.0


def test_ndcg_is_that_of_sklearn_for_gains_of_one():
    chance = np.random.default_rng(4)
    scores, relevance = chance.normal(size=(20, 30)), chance.integers(0, 2, (20, 30)).astype(float)
    result = ranking_metrics(scores, relevance)
    assert result.get("ndcg") == pytest.approx(ndcg_score(relevance, scores, k=10))
    assert json.dumps(result.to_json())


def test_ranks_and_missing_texts():
    scores = np.array([[0.1, 0.9, 0.5], [0.9, 0.2, 0.0]])
    relevance = np.array([[1, 0, 0], [1, 0, np.nan]])
    result = ranking_metrics(scores, relevance)
    assert result.get("mrr") == pytest.approx((1 / 3 + 1) / 2)
    assert result.get("ndcg") == pytest.approx((0.5 + 1) / 2)


def test_every_task_has_its_main_metric():
    given = {
        "labels": (np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1]), ("no", "yes")),
        "tokens": (np.eye(5)[[0, 1, 2]], np.array([0, 1, 2]), LABELS),
        "roles": (np.eye(5)[[0, 1, 2]], np.array([0, 1, 2]), LABELS),
        "vectors": (np.array([0.1, 0.5, 0.9]), np.array([1.0, 2.0, 5.0]), ()),
        "pairs": (np.array([[0.9, 0.1]]), np.array([[1.0, 0.0]]), ()),
        "masks": (np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1]), ()),
        "targets": (np.array(["a b", "c"], dtype=object), np.array(["a b", "d"], dtype=object), ()),
        "continuations": (np.array([[-3.0, 2, 1], [-1.0, 3, 3]]), np.array([4, 5]), ()),
    }
    meaning = {"intent": "a", "slots": {"x": 1}}
    asked = json.dumps({"sql": "SELECT a FROM t", "schema": "CREATE TABLE t (a INTEGER);"})
    own = {
        "text-to-sql": (np.array(["SELECT a FROM t", "SELECT"], dtype=object), np.array([asked, asked], dtype=object), ()),
        "semantic-parsing": (np.array([meaning, meaning]), np.array([meaning, {"intent": "b", "slots": {}}]), ()),
        "question-answering": (np.array([[3.0, 7.0], [0.0, 0.0], [5.0, 6.0]]), np.array([[3.0, 5.0], [0.0, 0.0], [0.0, 0.0]]), ()),
    }
    for name in TASKS.names():
        task = TASKS.get(name)
        metrics = task.metrics(*own.get(name, given[task.head]))
        main = "spearman" if task.head == "vectors" else task.main_metric  # of pairs; searches are judged by exams
        assert 0 < metrics.get(main) <= 1
        assert metrics.to_json()[main] == metrics.get(main)
        assert len(metrics.interval) == 2
