"""Labels named in the call: their sentences, their scores, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hanlin.errors import InvalidInput
from hanlin.tasks import TASKS, Limits, ModelSpec, VectorSettings

TASK = TASKS.get("embedding")
SPEC = ModelSpec("embedding", (), 16, 0, vectors=VectorSettings(3))
LABELS = ["travel", "food"]


def scored(inputs: object, vectors: list[list[float]], **parameters: object) -> object:
    request = TASK.check(inputs, {"candidate_labels": LABELS, **parameters}, limits=Limits())  # type: ignore[dict-item, arg-type]
    assert request.texts[-3:] == ("This example is travel.", "This example is food.", "This example is something.")
    rows = TASK.decode({"embeddings": np.array(vectors, dtype=np.float32)}, SPEC, request.options)
    return json.loads(bytes(TASK.answer(rows, request)))


SENTENCES = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]


def test_scores_sum_to_one_and_the_nearest_label_comes_first() -> None:
    found = scored("a flight", [[0.6, 0.55, 0.58], *SENTENCES])
    assert [item["label"] for item in found] == LABELS  # type: ignore[attr-defined, index]
    assert sum(item["score"] for item in found) == pytest.approx(1.0)  # type: ignore[attr-defined, index]
    several = scored(["one", "other"], [[0.6, 0.5, 0], [0.5, 0.6, 0], *SENTENCES])
    assert [row[0]["label"] for row in several] == LABELS  # type: ignore[attr-defined]


def test_several_labels_are_each_held_against_a_neutral_one() -> None:
    found = scored("both", [[0.6, 0.6, 0.3], *SENTENCES], multi_label=True)
    assert all(item["score"] > 0.9 for item in found)  # type: ignore[attr-defined]
    neither = scored("neither", [[0.2, 0.2, 0.6], *SENTENCES], multi_label=True)
    assert all(item["score"] < 0.1 for item in neither)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "parameters",
    [
        {"candidate_labels": ["a", "a"]},
        {"candidate_labels": ["a", 1]},
        {"candidate_labels": ["a"], "hypothesis_template": "no place"},
        {"candidate_labels": ["a"], "dimensions": 2},
        {"multi_label": "yes"},
    ],
)
def test_what_makes_no_question_is_refused(parameters: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        TASK.check("text", parameters, limits=Limits())  # type: ignore[arg-type]
    assert caught.value.code == "invalid_parameter"
