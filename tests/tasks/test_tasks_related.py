"""Examples of texts that belong together, and the exam that searches among all of them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, BadExample, ModelSpec, VectorSettings
from hanlin.tasks.ranking_metrics import search_metrics
from hanlin.tasks.related import Related

FORM = TASKS.get("embedding").examples
SPEC = ModelSpec("embedding", (), 8, 0, vectors=VectorSettings(2, prompts=(("query", "q: "), ("passage", "p: "))))


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"anchor": "a", "positive": "b"}, Related("a", "b")),
        ({"anchor": "a", "positive": "b", "negative": "c"}, Related("a", "b", ("c",))),
        ({"anchor": "a", "positive": "b", "negative": ["c", "d"]}, Related("a", "b", ("c", "d"))),
        ({"anchor": "a", "positive": "b", "negative": '["c", "d"]'}, Related("a", "b", ("c", "d"))),
        ({"anchor": "a", "positive": "b", "negative": "[c"}, Related("a", "b", ("[c",))),
        ({"anchor": "a", "positive": "b", "negative": " "}, Related("a", "b")),
        ({"anchor": "a", "positive": "b", "score": "4.5"}, Related("a", "b", score=4.5)),
        ({"anchor": "a", "positive": "b", "score": 0}, Related("a", "b", score=0.0)),
        ({"anchor": "a"}, Related("a")),
        ({"positive": "b"}, Related("b")),
    ],
)
def test_rows_are_read_stored_and_asked(fields: dict[str, object], wanted: Related) -> None:
    found = FORM.read(fields)
    assert Related.of(found.text, found.annotation) == wanted
    assert Related.asked(FORM.question(found.text, found.annotation)) == wanted
    assert (found.group or found.identity or found.text) == wanted.first


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "text_missing"),
        ({"anchor": "a", "positive": ""}, "text_empty"),
        ({"anchor": "a", "positive": "b", "negative": [1]}, "text_type"),
        ({"anchor": "a", "positive": "b", "negative": ["c"] * 101}, "too_many_negatives"),
        ({"anchor": "a", "positive": "b", "score": "good"}, "score"),
        ({"anchor": "a", "positive": "b", "score": "1_000"}, "score"),
        ({"anchor": "a", "positive": "b", "score": "１"}, "score"),
        ({"anchor": "a", "positive": "b", "score": float("nan")}, "score"),
        ({"anchor": "a", "positive": "b", "score": None}, "score"),
    ],
)
def test_bad_rows_say_what_is_wrong(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(BadExample) as error:
        FORM.read(fields)
    assert error.value.problem == problem


def test_a_group_keeps_what_belongs_together_in_one_split() -> None:
    assert FORM.read({"anchor": "a", "positive": "b", "group": 7}).group == "7"


def test_search_figures_are_those_of_the_library() -> None:
    chance = np.random.default_rng(4)
    drawn = (chance.normal(size=(count, 4)) for count in (9, 30))
    queries, texts = (made / np.linalg.norm(made, axis=1, keepdims=True) for made in drawn)
    relevant = [sorted(chance.choice(30, size=number % 3 + 1, replace=False).tolist()) for number in range(9)]
    gains = np.array([[float(place in own) for place in range(30)] for own in relevant])
    found = search_metrics(queries, texts, relevant)
    assert found.get("ndcg") == pytest.approx(ndcg_score(gains, queries @ texts.T, k=10))
    best = [min(int((row > row[place]).sum()) for place in own) for row, own in zip(queries @ texts.T, relevant, strict=True)]
    assert found.get("mrr") == pytest.approx(np.mean([1 / (place + 1) for place in best]))
    assert found.interval[0] < found.get("ndcg") < found.interval[1]


def test_vectors_that_are_all_alike_find_nothing() -> None:
    alike = np.tile([[1.0, 0.0]], (40, 1))
    found = search_metrics(alike, alike, [[place] for place in range(40)])
    assert (found.get("ndcg"), found.get("recall_10")) == (0.0, 0.0)


def test_the_exam_asks_for_each_text_once_with_its_prompt() -> None:
    rows = [Related("a", "x", ("z",)), Related("a", "y"), Related("b", "x")]
    exam = TASKS.get("embedding").exam([row.to_json() for row in rows], SPEC)  # type: ignore[attr-defined]  # see `SetsExams`
    assert [(text, options["prompt_name"]) for text, options in exam.calls] == [
        ("a", "query"), ("b", "query"), ("x", "passage"), ("z", "passage"), ("y", "passage"),
    ]  # fmt: skip
    found = exam.judge([[1, 0], [0, 1], [0.6, 0.8], [0.9, 0.1], [1, 0]])
    # a: y first, then z, then x; b: x first.
    assert found.get("ndcg") == pytest.approx((((1 + 0.5) / (1 + 1 / np.log2(3))) + 1) / 2)


def test_scored_pairs_are_correlated_with_the_default_prompt() -> None:
    rows = [Related("a", "x", score=1.0), Related("b", "y", score=3.0), Related("c", "z", score=2.0)]
    exam = TASKS.get("embedding").exam([row.to_json() for row in rows], SPEC)  # type: ignore[attr-defined]
    assert all("prompt_name" not in options for _, options in exam.calls)
    assert exam.judge([[1, 0], [0, 1], [1, 0], [1, 0], [1, 0], [1, 1]]).get("spearman") == pytest.approx(1.0)


def test_texts_alone_are_not_judged() -> None:
    with pytest.raises(InvalidInput) as error:
        TASKS.get("embedding").exam(["a", "b"], SPEC)  # type: ignore[attr-defined]
    assert error.value.code == "not_judged"
