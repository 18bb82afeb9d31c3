"""Sentiment: a text, or one aspect of it, on a scale whose labels have an order. Text classification with that scale beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hanlin.errors import InvalidInput
from hanlin.tasks.base import TASKS, Scored, TaskOptions
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.examples import Column, ExampleForm
from hanlin.tasks.labelled import AnsweredTexts
from hanlin.tasks.problems import scores_of
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.text_classification import TextClassification
from hanlin.types import JsonObject, shorten

SENTIMENT = "sentiment"
# Words that mean a place on the scale from -1 to 1.
_PLACES: Mapping[float, tuple[str, ...]] = {
    -1.0: ("very negative", "very_negative", "very bad", "terrible", "非常负面", "很差", "非常差"),
    -0.5: ("negative", "neg", "bad", "消极", "负面", "负向", "差评", "差", "贬义"),
    0.0: ("neutral", "neu", "mixed", "average", "中性", "中立", "中评", "一般"),
    0.5: ("positive", "pos", "good", "积极", "正面", "正向", "好评", "好", "褒义"),
    1.0: ("very positive", "very_positive", "very good", "excellent", "非常正面", "很好", "非常好"),
}
_KNOWN = {word: place for place, words in _PLACES.items() for word in words}

_TEXT_HEADERS = (
    "sentence", "review", "content", "comment", "message", "document", "body", "文本", "内容", "评论", "句子", "正文", "评价",
)  # fmt: skip
_LABEL_HEADERS = ("label", "sentiment", "class", "stars", "rating", "情感", "极性", "标签", "类别", "星级")


@TASKS.register(SENTIMENT)
class Sentiment(TextClassification):
    """How a text, or one aspect of it, is meant: a label, and the place on the scale of the labels."""

    name = SENTIMENT
    figures: tuple[str, ...] = ("accuracy", "macro_f1", "micro_f1")
    examples: ExampleForm = AnsweredTexts(
        (
            Column("text", "text", aliases=_TEXT_HEADERS),
            Column("polarity", "label", aliases=_LABEL_HEADERS),
            Column("aspect", "text", aliases=("target", "term", "aspect_term", "category", "方面", "属性", "对象"), is_optional=True),
        ),
        pair="aspect", label="polarity",
    )  # fmt: skip
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {"inputs": "The food was wonderful.", "parameters": {"top_k": 1}},
        "response": [{"label": "positive", "score": 0.98, "value": 0.96}],
    }

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> list[list[Scored]]:
        """See `Task.decode`: each label with the mean place of the whole text, which is the same beside all of them."""
        found = super().decode(outputs, spec, options, encoded)
        if not spec.scale:
            return found
        values = scores_of(outputs["logits"], "softmax") @ np.array(spec.scale, dtype=np.float64)
        return [[replace(item, value=value) for item in row] for row, value in zip(found, values.tolist(), strict=True)]


def scale_of(stated: str, labels: Sequence[str]) -> tuple[float, ...]:
    """The number that each label stands for, in the order of `labels`.

    Args:
        stated: the labels in their order, `bad<fair<good`: even steps from -1 to 1. Empty: labels that are numbers stand for themselves,
            and words such as `negative` and `中性` for what they say.

    Raises:
        InvalidInput: `scale_unknown` for labels without an order, `invalid_training_option` for a scale that is not theirs.
    """
    if stated:
        order = [part.strip() for part in stated.split("<")]
        if sorted(order) != sorted(labels):
            raise InvalidInput("invalid_training_option", name="scale", value=shorten(stated), right=" < ".join(labels))
        return tuple(round(-1 + 2 * order.index(label) / max(1, len(order) - 1), 6) for label in labels)
    numbers = [_number(label) for label in labels]
    if all(number is not None for number in numbers):
        return tuple(float(number) for number in numbers if number is not None)
    places = [_KNOWN.get(label.casefold()) for label in labels]
    if any(place is None for place in places) or len(set(places)) < len(places):
        raise InvalidInput("scale_unknown", labels=", ".join(shorten(label) for label in labels[:8]))
    known = [place for place in places if place is not None]
    widest = max(abs(place) for place in known)
    return tuple(place / widest for place in known)  # two or three labels reach from end to end


def _number(label: str) -> Any:
    try:
        return float(label)
    except ValueError:
        return None
