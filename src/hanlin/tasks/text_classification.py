"""Text classification: one label out of a closed set for each text. Wire shapes of Hugging Face's task API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from hanlin.errors import EngineFailed
from hanlin.tasks.base import TASKS, HeadKind, Limits, Parameter, Row, Scored, TaskOptions, TaskRequest, encode_texts
from hanlin.tasks.checks import check_items, read_long_text
from hanlin.tasks.encoded import Encoded
from hanlin.tasks.encoding import TextEncoder
from hanlin.tasks.examples import Column, ExampleForm, LabelledTexts, label_positions
from hanlin.tasks.likeness import LABELS, Likeness, Numbers
from hanlin.tasks.metrics import Metrics, classification_metrics
from hanlin.tasks.parameters import LONG_TEXT, check_names, choice, integer
from hanlin.tasks.shapes import ONE_OR_MORE, SCORED, Shape, each, rows
from hanlin.tasks.spec import MAX_LABELS, ModelSpec
from hanlin.tasks.windows import Window
from hanlin.types import JsonObject, JsonValue, LongText

Function = Literal["softmax", "sigmoid", "none"]


@dataclass(frozen=True, slots=True)
class ClassificationOptions(TaskOptions):
    """Options of a call.

    Args:
        top_k: how many labels to answer, best first; None means all.
        function: what turns logits into scores.
    """

    top_k: int | None = None
    function: Function = "softmax"


_TOP_K = integer("top_k", "how many labels to answer, best first; left out, all", low=1, high=MAX_LABELS, example=3)
_FUNCTION: Parameter[Function] = choice(
    "function_to_apply", "what turns the model's numbers into scores: softmax makes them sum to 1, sigmoid judges each label by itself",
    choices=get_args(Function), default="softmax", example="sigmoid",
)  # fmt: skip


@TASKS.register("text-classification")
class TextClassification:
    """One label out of a closed set for each text."""

    name = "text-classification"
    main_metric = "accuracy"
    figures: tuple[str, ...] = ("accuracy", "macro_f1", "micro_f1")
    head: HeadKind = "labels"
    likeness: Likeness = LABELS
    is_row_by_row = True
    examples: ExampleForm = LabelledTexts((
        Column(
            "text", "text", aliases=("sentence", "review", "content", "comment", "message", "document", "body", "input", "inputs", "text_a",
                                     "文本", "内容", "评论", "句子", "正文", "评价", "文章"),
        ),
        Column(
            "label", "label", aliases=("labels", "class", "category", "sentiment", "target", "topic", "intent", "tag", "label_text",
                                       "标签", "类别", "分类", "情感", "类目", "主题"),
        ),
    ))  # fmt: skip
    shape = Shape(ONE_OR_MORE, each(rows(SCORED)))
    example: JsonObject = {  # noqa: RUF012 - a worked example, never written to
        "request": {"inputs": "The food was wonderful.", "parameters": {"top_k": 2}},
        "response": [{"label": "positive", "score": 0.98}, {"label": "negative", "score": 0.02}],
    }

    parameters: tuple[Parameter[Any], ...] = (_TOP_K, _FUNCTION, *LONG_TEXT)

    def check(self, inputs: JsonValue, parameters: JsonObject, *, limits: Limits) -> TaskRequest:
        """See `Task.check`."""
        check_names(parameters, self.parameters)
        texts, is_single = check_items(inputs, limits)
        options = ClassificationOptions(
            long_text=read_long_text(parameters), top_k=_TOP_K.read(parameters), function=_FUNCTION.read(parameters)
        )
        return TaskRequest(texts, is_single, options)

    def encode(
        self, request: TaskRequest, encoder: TextEncoder, spec: ModelSpec, *, long_text: LongText = "refuse", max_windows: int | None = None
    ) -> Encoded:
        """See `Task.encode`."""
        return encode_texts(request, encoder, long_text=long_text, max_windows=max_windows)

    def merge(self, windows: Sequence[Window], rows: Sequence[Row]) -> Row:
        """See `Task.merge`: the mean of the logits, each window weighted by its own tokens."""
        weights = np.array([window.num_own for window in windows], dtype=np.float64)
        logits = np.stack([row["logits"] for row in rows]).astype(np.float64)  # (windows, labels)
        return {"logits": weights @ logits / weights.sum()}

    def decode(
        self, outputs: Mapping[str, npt.NDArray[np.floating]], spec: ModelSpec, options: TaskOptions, encoded: Encoded | None = None
    ) -> list[list[Scored]]:
        """See `Task.decode`."""
        assert isinstance(options, ClassificationOptions), "options of another task"
        logits = outputs.get("logits")
        if logits is None or logits.ndim != 2 or logits.shape[1] != len(spec.labels):
            raise EngineFailed("model_output_invalid", details=f"logits of shape {None if logits is None else logits.shape}")
        if not np.isfinite(logits).all():
            raise EngineFailed("model_output_invalid", details="NaN or infinity in the logits")
        scores = scores_of(logits, options.function)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : options.top_k]  # ties keep the order of the labels
        best = np.take_along_axis(scores, order, axis=1)
        return [
            [Scored(spec.labels[index], score) for index, score in zip(indices, values, strict=True)]
            for indices, values in zip(order.tolist(), best.tolist(), strict=True)
        ]

    def answer(self, rows: Sequence[Sequence[Scored]], request: TaskRequest) -> JsonValue:
        """See `Task.answer`: a list of labels for a single text, a list of such lists for a list."""
        answers: list[JsonValue] = [[item.to_json() for item in row] for row in rows]
        return answers[0] if request.is_single else answers

    def metrics(self, probabilities: npt.NDArray[np.floating], gold: npt.NDArray[np.integer], labels: Sequence[str]) -> Metrics:
        """See `Task.metrics`."""
        return classification_metrics(probabilities, gold, labels)

    def probe(self, questions: Sequence[JsonValue]) -> tuple[JsonValue, JsonObject]:
        """See `Task.probe`."""
        return list(questions), {"truncation": True}

    def read(self, answer: JsonValue, spec: ModelSpec) -> list[Numbers]:
        """See `Task.read`: one row of probabilities a text, in the order of the labels."""
        rows = [{item["label"]: item["score"] for item in row} for row in cast("list[list[dict[str, Any]]]", answer)]
        return [np.array([[row[label] for label in spec.labels]], dtype=np.float64) for row in rows]

    def ask(self, question: JsonValue) -> tuple[JsonValue, JsonObject]:
        """See `Task.ask`: every label's score is wanted."""
        return question, {"truncation": True}

    def quality(self, answers: Sequence[JsonValue], gold: Sequence[str], labels: Sequence[str]) -> Metrics:
        """See `Task.quality`."""
        rows = [{item["label"]: item["score"] for item in row} for row in cast("list[list[dict[str, Any]]]", answers)]
        probabilities = np.array([[row[label] for label in labels] for row in rows], dtype=np.float64)
        return self.metrics(probabilities, np.array(label_positions(gold, labels), dtype=np.int64), labels)


def scores_of(logits: npt.NDArray[np.floating], function: Function) -> npt.NDArray[np.float64]:
    """Scores `(rows, labels)` of logits in float64, safe against overflow."""
    values = logits.astype(np.float64)
    if function == "none":
        return values
    if function == "sigmoid":
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))
    shifted = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
