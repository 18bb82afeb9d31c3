"""The worked example of an endpoint speaks of its own labels, and of nothing that they contradict."""

from __future__ import annotations

import pytest

from hanlin.gateway.example import with_own_labels
from hanlin.types import JsonObject

EXAMPLE: JsonObject = {
    "request": {"inputs": "The food was wonderful."},
    "response": [{"label": "positive", "score": 0.98}, {"label": "negative", "score": 0.02}],
}


@pytest.mark.parametrize(
    ("labels", "shown", "is_praise"),
    [
        (("food", "sports", "tech"), ["food", "sports"], False),
        (("negative", "positive"), ["positive", "negative"], True),
        (("差评", "好评"), ["好评", "差评"], True),
        (("0", "1"), ["1", "0"], True),
        (("1", "2", "3", "4", "5"), ["1", "2"], False),
        (("好",), ["好"], True),
        ((), ["positive", "negative"], True),
    ],
)
def test_the_labels_of_the_example_are_the_models_own(labels: tuple[str, ...], shown: list[str], is_praise: bool) -> None:
    example = with_own_labels(EXAMPLE, labels)
    answers = example["response"]
    assert isinstance(answers, list)
    assert [item["label"] for item in answers if isinstance(item, dict)] == shown
    assert (example["request"] == EXAMPLE["request"]) == is_praise


@pytest.mark.parametrize("response", [{"text": "x"}, [{"entity_group": "PER", "score": 0.99}], [0.1, 0.2]])
def test_an_example_without_labels_stays(response: JsonObject | list[object]) -> None:
    assert with_own_labels({"response": response}, ("a",)) == {"response": response}  # type: ignore[dict-item]
