"""The worked example of an endpoint speaks of its own labels."""

from __future__ import annotations

import pytest

from hanlin.gateway.inference import with_own_labels
from hanlin.types import JsonObject

EXAMPLE: JsonObject = {
    "request": {"inputs": "The food was wonderful."},
    "response": [{"label": "positive", "score": 0.98}, {"label": "negative", "score": 0.02}],
}


@pytest.mark.parametrize(
    ("labels", "shown"), [(("food", "sports", "tech"), ["food", "sports"]), (("好",), ["好"]), ((), ["positive", "negative"])]
)
def test_the_labels_of_the_example_are_the_models_own(labels: tuple[str, ...], shown: list[str]) -> None:
    example = with_own_labels(EXAMPLE, labels)
    answers = example["response"]
    assert isinstance(answers, list)
    assert [item["label"] for item in answers if isinstance(item, dict)] == shown
    assert example["request"] == EXAMPLE["request"]


def test_an_example_without_labels_stays() -> None:
    assert with_own_labels({"response": {"text": "x"}}, ("a",)) == {"response": {"text": "x"}}
